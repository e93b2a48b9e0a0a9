/* Another program that uses the same TPM: plays the service that makes authentication keys (with the TPM's own Duplicate
 * and MakeCredential, so that the library meets blobs it had no part in), and the stranger whose objects are in the way. */
#ifndef MOORING_TEST_BYSTANDER_H
#define MOORING_TEST_BYSTANDER_H

#include <stdbool.h>
#include <stddef.h>
#include <tss2/tss2_esys.h>

struct bystander {
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;
};

void bystander_open(struct bystander *by, const char *tcti);
void bystander_close(struct bystander *by);

/* An authentication key that hands over a 32-byte HMAC key; its size is returned. Needs EK and SRK in place. */
size_t bystander_make_authentication_key(struct bystander *by, const uint8_t key[32], uint8_t *blob, size_t capacity);

/* A P-256 key at a persistent handle. */
void bystander_occupy(struct bystander *by, TPM2_HANDLE handle);

/* An NV index with content, readable by anyone; `owner_only` by the owner alone. */
void bystander_define_nv(struct bystander *by, TPM2_HANDLE index, const uint8_t *content, uint16_t size, bool owner_only);

void bystander_set_owner_auth(struct bystander *by, const char *password);

/* How many transient objects and loaded sessions the TPM holds. */
uint32_t bystander_count_loaded(struct bystander *by);

/* Leaves sessions behind until the TPM takes no more. */
void bystander_fill_session_slots(struct bystander *by);

#endif
