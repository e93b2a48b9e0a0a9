/* Every function of the library against a software TPM, on its good and its failing paths, under the address and
 * undefined-behaviour sanitizers. A failed expectation ends the program. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../mooring-tpm.h"
#include "bystander.h"
#include "swtpm.h"

#define HUB_KEY 0x81000100U
#define OTHER_EK 0x81010101U
#define OTHER_SRK 0x81000101U
#define MARKER 0x01800100U
#define SRK_HANDLE_ABSENT 0x81000099U

#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            (void)fprintf(stderr, "check: %s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                       \
            exit(EXIT_FAILURE);                                                                                        \
        }                                                                                                              \
    } while (0)

#define EXPECT_RC(call, expected)                                                                                      \
    do {                                                                                                               \
        const TSS2_RC actual_rc = (call);                                                                              \
        if (actual_rc != (expected)) {                                                                                 \
            char words[256];                                                                                           \
            mooring_tpm_explain(actual_rc, words, sizeof(words));                                                      \
            (void)fprintf(stderr, "check: %s:%d: %s is 0x%x (%s)\n", __FILE__, __LINE__, #call, actual_rc, words);     \
            exit(EXIT_FAILURE);                                                                                        \
        }                                                                                                              \
    } while (0)

struct wrapped {
    uint8_t bytes[MOORING_TPM_WRAPPED_KEY_MAX];
    uint32_t size;
};

static const uint8_t some_key[32] = "a key that the service made up.";

static mooring_tpm *open_with_auth(const struct swtpm *swtpm, const char *owner_auth)
{
    mooring_tpm *tpm = mooring_tpm_new();

    EXPECT(tpm != NULL);
    EXPECT_RC(mooring_tpm_open(tpm, swtpm->tcti, (const uint8_t *)owner_auth, (uint32_t)strlen(owner_auth), NULL, 0), 0U);
    return tpm;
}

static mooring_tpm *open_tpm(const struct swtpm *swtpm)
{
    return open_with_auth(swtpm, "");
}

static void create_root_keys(mooring_tpm *tpm)
{
    EXPECT_RC(mooring_tpm_create_storage_root_key(tpm, MOORING_TPM_UNIQUE_ZEROS), 0U);
    EXPECT_RC(mooring_tpm_create_endorsement_key(tpm, MOORING_TPM_UNIQUE_ZEROS), 0U);
}

static void activate(mooring_tpm *tpm, struct bystander *service, const uint8_t key[32], struct wrapped *wrapped)
{
    uint8_t blob[2048];
    const size_t size = bystander_make_authentication_key(service, key, blob, sizeof(blob));

    wrapped->size = sizeof(wrapped->bytes);
    EXPECT_RC(mooring_tpm_activate(tpm, blob, (uint32_t)size, wrapped->bytes, &wrapped->size), 0U);
}

static void name_of(const struct wrapped *wrapped, uint8_t name[MOORING_TPM_NAME_SIZE])
{
    const size_t public_size = ((size_t)wrapped->bytes[0] << 8) | wrapped->bytes[1];

    name[0] = 0x00;
    name[1] = 0x0B;
    EXPECT(EVP_Digest(wrapped->bytes + 2, public_size, name + 2, NULL, EVP_sha256(), NULL) == 1);
}

static void checks_its_arguments(void)
{
    struct swtpm swtpm;
    uint8_t bytes[80] = { 0 };
    mooring_tpm_facts facts;
    mooring_tpm *tpm;

    EXPECT_RC(mooring_tpm_describe(NULL, &facts), MOORING_TPM_RC_ARGUMENT);
    mooring_tpm_close(NULL);
    tpm = mooring_tpm_new();
    EXPECT_RC(mooring_tpm_describe(tpm, &facts), MOORING_TPM_RC_ARGUMENT);
    EXPECT_RC(mooring_tpm_open(tpm, NULL, NULL, 0, NULL, 0), MOORING_TPM_RC_ARGUMENT);
    EXPECT(mooring_tpm_open(tpm, "swtpm:path=/nowhere/tpm", NULL, 0, NULL, 0) != 0);
    EXPECT(mooring_tpm_open(tpm, "no-such-tcti", NULL, 0, NULL, 0) != 0);

    swtpm_start(&swtpm);
    EXPECT_RC(mooring_tpm_open(tpm, swtpm.tcti, bytes, sizeof(bytes), NULL, 0), MOORING_TPM_RC_ARGUMENT);
    EXPECT_RC(mooring_tpm_open(tpm, swtpm.tcti, NULL, 0, NULL, 3), MOORING_TPM_RC_ARGUMENT);
    EXPECT_RC(mooring_tpm_open(tpm, swtpm.tcti, NULL, 0, NULL, 0), 0U);
    EXPECT_RC(mooring_tpm_open(tpm, swtpm.tcti, NULL, 0, NULL, 0), MOORING_TPM_RC_ARGUMENT);
    EXPECT_RC(mooring_tpm_describe(tpm, NULL), MOORING_TPM_RC_ARGUMENT);
    EXPECT_RC(mooring_tpm_create_endorsement_key(tpm, 2), MOORING_TPM_RC_ARGUMENT);
    EXPECT_RC(mooring_tpm_evict(tpm, HUB_KEY, NULL), MOORING_TPM_RC_ARGUMENT);
    EXPECT_RC(mooring_tpm_evict(tpm, MOORING_TPM_STORAGE_ROOT_KEY_HANDLE, bytes), MOORING_TPM_RC_ARGUMENT);
    EXPECT_RC(mooring_tpm_write_marker(tpm, MARKER, NULL), MOORING_TPM_RC_ARGUMENT);
    mooring_tpm_close(tpm);
    swtpm_stop(&swtpm);
}

static void describes_the_tpm(mooring_tpm *tpm)
{
    mooring_tpm_facts facts;

    EXPECT_RC(mooring_tpm_describe(tpm, &facts), 0U);
    EXPECT(facts.manufacturer == 0x49424D00U);
    EXPECT(facts.revision > 100 && facts.lockout_limit > 0);
    EXPECT((facts.permanent & 0x200) == 0);
}

static void finds_or_creates_root_keys(void)
{
    struct swtpm swtpm;
    struct bystander by;
    uint8_t ek[MOORING_TPM_PUBLIC_MAX], srk[MOORING_TPM_PUBLIC_MAX], same[MOORING_TPM_PUBLIC_MAX];
    uint32_t ek_size = sizeof(ek), srk_size = sizeof(srk), same_size = sizeof(same), small = 10;
    mooring_tpm *tpm;

    swtpm_start(&swtpm);
    tpm = open_tpm(&swtpm);
    bystander_open(&by, swtpm.tcti);
    describes_the_tpm(tpm);
    EXPECT_RC(mooring_tpm_endorsement_key(tpm, ek, &ek_size), MOORING_TPM_RC_ABSENT);
    EXPECT_RC(mooring_tpm_storage_root_key(tpm, srk, &srk_size), MOORING_TPM_RC_ABSENT);
    EXPECT_RC(mooring_tpm_read_public(tpm, SRK_HANDLE_ABSENT, ek, &ek_size), MOORING_TPM_RC_ABSENT);
    create_root_keys(tpm);
    EXPECT_RC(mooring_tpm_create_endorsement_key(tpm, MOORING_TPM_UNIQUE_EMPTY), TPM2_RC_NV_DEFINED);
    EXPECT_RC(mooring_tpm_endorsement_key(tpm, ek, &small), MOORING_TPM_RC_BUFFER);
    EXPECT_RC(mooring_tpm_endorsement_key(tpm, ek, NULL), MOORING_TPM_RC_ARGUMENT);
    EXPECT_RC(mooring_tpm_endorsement_key(tpm, ek, &ek_size), 0U);
    EXPECT_RC(mooring_tpm_storage_root_key(tpm, srk, &srk_size), 0U);
    EXPECT(ek_size == 316 && srk_size == 284);
    EXPECT_RC(mooring_tpm_read_public(tpm, MOORING_TPM_ENDORSEMENT_KEY_HANDLE, same, &same_size), 0U);
    EXPECT(same_size == ek_size && memcmp(same, ek, ek_size) == 0);
    /* Reading it as any object must not take the key away from the sessions that are salted to it. */
    EXPECT_RC(mooring_tpm_read_public(tpm, MOORING_TPM_STORAGE_ROOT_KEY_HANDLE, same, &(uint32_t){ sizeof(same) }), 0U);
    EXPECT_RC(mooring_tpm_write_marker(tpm, MARKER, (const uint8_t[MOORING_TPM_NAME_SIZE]){ 0 }), 0U);
    mooring_tpm_close(tpm);
    EXPECT(bystander_count_loaded(&by) == 0);
    bystander_close(&by);
    swtpm_stop(&swtpm);
}

static void refuses_root_keys_of_another_kind(void)
{
    struct swtpm swtpm;
    struct bystander by;
    uint8_t bytes[MOORING_TPM_PUBLIC_MAX];
    uint32_t size = sizeof(bytes);
    mooring_tpm *tpm;

    swtpm_start(&swtpm);
    bystander_open(&by, swtpm.tcti);
    bystander_occupy(&by, MOORING_TPM_ENDORSEMENT_KEY_HANDLE);
    tpm = open_tpm(&swtpm);
    EXPECT_RC(mooring_tpm_endorsement_key(tpm, bytes, &size), MOORING_TPM_RC_NOT_A_ROOT_KEY);
    EXPECT_RC(mooring_tpm_create_storage_root_key(tpm, MOORING_TPM_UNIQUE_EMPTY), MOORING_TPM_RC_NOT_A_ROOT_KEY);
    mooring_tpm_close(tpm);

    tpm = mooring_tpm_new();
    mooring_tpm_set_root_keys(tpm, OTHER_EK, OTHER_SRK);
    EXPECT_RC(mooring_tpm_open(tpm, swtpm.tcti, NULL, 0, NULL, 0), 0U);
    EXPECT_RC(mooring_tpm_create_storage_root_key(tpm, MOORING_TPM_UNIQUE_ZEROS), 0U);
    EXPECT_RC(mooring_tpm_create_endorsement_key(tpm, MOORING_TPM_UNIQUE_ZEROS), 0U);
    size = sizeof(bytes);
    EXPECT_RC(mooring_tpm_endorsement_key(tpm, bytes, &size), 0U);
    EXPECT_RC(mooring_tpm_evict(tpm, OTHER_SRK, bytes), MOORING_TPM_RC_ARGUMENT);
    mooring_tpm_close(tpm);
    EXPECT(bystander_count_loaded(&by) == 0);
    bystander_close(&by);
    swtpm_stop(&swtpm);
}

static void expect_signature(const uint8_t key[32], const uint8_t *data, size_t size, const uint8_t *signature)
{
    uint8_t expected[32];

    EXPECT(HMAC(EVP_sha256(), key, 32, data, size, expected, NULL) != NULL);
    EXPECT(memcmp(expected, signature, sizeof(expected)) == 0);
}

static void activates_and_signs(mooring_tpm *tpm, struct bystander *by)
{
    static uint8_t data[5500];
    const uint32_t sizes[] = { 0, 1, 1024, 1025, 2048, 2049, 5500 };
    struct wrapped wrapped, other;
    uint8_t signature[MOORING_TPM_HMAC_SIZE];
    uint8_t blob[2048];
    const uint32_t size = (uint32_t)bystander_make_authentication_key(by, some_key, blob, sizeof(blob));
    uint32_t small = 20;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)i;
    activate(tpm, by, some_key, &wrapped);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        EXPECT_RC(mooring_tpm_sign(tpm, wrapped.bytes, wrapped.size, data, sizes[i], signature), 0U);
        expect_signature(some_key, data, sizes[i], signature);
    }
    EXPECT_RC(mooring_tpm_activate(tpm, blob, size, other.bytes, &small), MOORING_TPM_RC_BUFFER);
    EXPECT_RC(mooring_tpm_activate(tpm, NULL, size, other.bytes, &small), MOORING_TPM_RC_BAD_KEY);
    EXPECT_RC(mooring_tpm_sign(tpm, wrapped.bytes, wrapped.size, NULL, 1, signature), MOORING_TPM_RC_ARGUMENT);
    EXPECT_RC(mooring_tpm_sign(tpm, NULL, 0, data, 1, signature), MOORING_TPM_RC_BAD_KEY);
    EXPECT_RC(mooring_tpm_sign_with_handle(tpm, HUB_KEY, data, 1, signature), MOORING_TPM_RC_ABSENT);
    EXPECT(mooring_tpm_sign_with_handle(tpm, MOORING_TPM_STORAGE_ROOT_KEY_HANDLE, data, 1, signature) != 0);
    EXPECT(mooring_tpm_sign_with_handle(tpm, MOORING_TPM_STORAGE_ROOT_KEY_HANDLE, data, 5500, signature) != 0);
}

/* Each one cut short at every length, and with bits flipped all over. */
static void refuses_damaged_keys(mooring_tpm *tpm, struct bystander *by)
{
    struct wrapped wrapped, out;
    uint8_t blob[2048], signature[MOORING_TPM_HMAC_SIZE];
    const uint32_t size = (uint32_t)bystander_make_authentication_key(by, some_key, blob, sizeof(blob));
    const uint32_t uri = 5;

    activate(tpm, by, some_key, &wrapped);
    for (uint32_t cut = 0; cut < size; cut++) {
        uint8_t *exact = malloc(cut + 1); /* so that the sanitizer sees a read beyond it */

        EXPECT(exact != NULL);
        memcpy(exact, blob, cut);
        out.size = sizeof(out.bytes);
        EXPECT_RC(mooring_tpm_activate(tpm, exact, cut, out.bytes, &out.size), MOORING_TPM_RC_BAD_KEY);
        free(exact);
    }
    for (uint32_t at = 0; at < size - uri; at += 3) {
        blob[at] ^= (uint8_t)(1U << (at % 8));
        out.size = sizeof(out.bytes);
        EXPECT(mooring_tpm_activate(tpm, blob, size, out.bytes, &out.size) != 0);
        blob[at] ^= (uint8_t)(1U << (at % 8));
    }
    for (uint32_t at = 0; at < wrapped.size; at += 3) {
        wrapped.bytes[at] ^= (uint8_t)(1U << (at % 8));
        EXPECT(mooring_tpm_sign(tpm, wrapped.bytes, wrapped.size, blob, 1, signature) != 0);
        EXPECT(mooring_tpm_persist(tpm, wrapped.bytes, wrapped.size, HUB_KEY) != 0);
        wrapped.bytes[at] ^= (uint8_t)(1U << (at % 8));
        EXPECT_RC(mooring_tpm_sign(tpm, wrapped.bytes, at, blob, 1, signature), MOORING_TPM_RC_BAD_KEY);
    }
    EXPECT_RC(mooring_tpm_sign(tpm, wrapped.bytes, wrapped.size + 1, blob, 1, signature), MOORING_TPM_RC_BAD_KEY);
    EXPECT_RC(mooring_tpm_sign(tpm, wrapped.bytes, wrapped.size, blob, 1, signature), 0U);
}

static void persists_and_evicts(mooring_tpm *tpm, struct bystander *by)
{
    struct wrapped first, second;
    uint8_t first_name[MOORING_TPM_NAME_SIZE], second_name[MOORING_TPM_NAME_SIZE];
    uint8_t signature[MOORING_TPM_HMAC_SIZE];

    activate(tpm, by, some_key, &first);
    activate(tpm, by, some_key, &second);
    name_of(&first, first_name);
    name_of(&second, second_name);
    EXPECT_RC(mooring_tpm_evict(tpm, HUB_KEY, first_name), MOORING_TPM_RC_ABSENT);
    EXPECT_RC(mooring_tpm_persist(tpm, first.bytes, first.size, MOORING_TPM_ENDORSEMENT_KEY_HANDLE), MOORING_TPM_RC_ARGUMENT);
    EXPECT_RC(mooring_tpm_persist(tpm, first.bytes, first.size, HUB_KEY), 0U);
    EXPECT_RC(mooring_tpm_persist(tpm, second.bytes, second.size, HUB_KEY), TPM2_RC_NV_DEFINED);
    EXPECT_RC(mooring_tpm_sign_with_handle(tpm, HUB_KEY, some_key, 32, signature), 0U);
    expect_signature(some_key, some_key, 32, signature);
    EXPECT_RC(mooring_tpm_evict(tpm, HUB_KEY, second_name), MOORING_TPM_RC_OTHER_OBJECT);
    EXPECT_RC(mooring_tpm_evict(tpm, HUB_KEY, first_name), 0U);
    EXPECT_RC(mooring_tpm_persist(tpm, second.bytes, second.size, HUB_KEY), 0U);
    EXPECT_RC(mooring_tpm_sign_with_handle(tpm, HUB_KEY, some_key, 32, signature), 0U); /* the other key at the handle */
    EXPECT_RC(mooring_tpm_evict(tpm, HUB_KEY, second_name), 0U);
    EXPECT_RC(mooring_tpm_evict(tpm, HUB_KEY, second_name), MOORING_TPM_RC_ABSENT);
}

static void writes_and_removes_markers(mooring_tpm *tpm, struct bystander *by)
{
    const uint8_t first[MOORING_TPM_NAME_SIZE] = { 0x00, 0x0B, 1 };
    const uint8_t second[MOORING_TPM_NAME_SIZE] = { 0x00, 0x0B, 2 };
    uint8_t read[MOORING_TPM_NAME_SIZE];

    EXPECT_RC(mooring_tpm_read_marker(tpm, MARKER, read), MOORING_TPM_RC_ABSENT);
    EXPECT_RC(mooring_tpm_remove_marker(tpm, MARKER), MOORING_TPM_RC_ABSENT);
    EXPECT_RC(mooring_tpm_write_marker(tpm, MARKER, first), 0U);
    EXPECT_RC(mooring_tpm_write_marker(tpm, MARKER, second), 0U);
    EXPECT_RC(mooring_tpm_read_marker(tpm, MARKER, read), 0U);
    EXPECT(memcmp(read, second, sizeof(read)) == 0);
    EXPECT_RC(mooring_tpm_remove_marker(tpm, MARKER), 0U);
    bystander_define_nv(by, MARKER + 1, NULL, 34, false); /* like a marker that was never written */
    EXPECT_RC(mooring_tpm_read_marker(tpm, MARKER + 1, read), MOORING_TPM_RC_ABSENT);
    bystander_define_nv(by, MARKER + 2, first, 33, false);
    EXPECT_RC(mooring_tpm_read_marker(tpm, MARKER + 2, read), MOORING_TPM_RC_OTHER_INDEX);
    EXPECT_RC(mooring_tpm_write_marker(tpm, MARKER + 2, first), MOORING_TPM_RC_OTHER_INDEX);
    EXPECT_RC(mooring_tpm_remove_marker(tpm, MARKER + 2), MOORING_TPM_RC_OTHER_INDEX);
}

static void works_with_a_key_of_the_service(void)
{
    struct swtpm swtpm;
    struct bystander by;
    mooring_tpm *tpm;

    swtpm_start(&swtpm);
    bystander_open(&by, swtpm.tcti);
    tpm = open_tpm(&swtpm);
    create_root_keys(tpm);
    activates_and_signs(tpm, &by);
    refuses_damaged_keys(tpm, &by);
    persists_and_evicts(tpm, &by);
    writes_and_removes_markers(tpm, &by);
    mooring_tpm_close(tpm);
    EXPECT(bystander_count_loaded(&by) == 0);
    bystander_close(&by);
    swtpm_stop(&swtpm);
}

static void reads_the_endorsement_certificate(bool owner_only)
{
    static uint8_t content[1800], read[2048];
    struct swtpm swtpm;
    struct bystander by;
    uint32_t size = sizeof(read), small = 100;
    mooring_tpm *tpm;

    for (size_t i = 0; i < sizeof(content); i++)
        content[i] = (uint8_t)(i * 7);
    swtpm_start(&swtpm);
    bystander_open(&by, swtpm.tcti);
    tpm = open_tpm(&swtpm);
    EXPECT_RC(mooring_tpm_endorsement_certificate(tpm, read, &size), MOORING_TPM_RC_ABSENT);
    bystander_define_nv(&by, MOORING_TPM_ENDORSEMENT_CERTIFICATE_INDEX, content, sizeof(content), owner_only);
    EXPECT_RC(mooring_tpm_endorsement_certificate(tpm, read, &small), MOORING_TPM_RC_BUFFER);
    EXPECT_RC(mooring_tpm_endorsement_certificate(tpm, read, &size), 0U);
    EXPECT(size == sizeof(content) && memcmp(read, content, size) == 0);
    mooring_tpm_close(tpm);
    EXPECT(bystander_count_loaded(&by) == 0);
    bystander_close(&by);
    swtpm_stop(&swtpm);
}

static void uses_the_owners_authorization(void)
{
    struct swtpm swtpm;
    struct bystander by;
    mooring_tpm *tpm;

    swtpm_start(&swtpm);
    bystander_open(&by, swtpm.tcti);
    bystander_set_owner_auth(&by, "right");
    tpm = open_with_auth(&swtpm, "wrong");
    EXPECT_RC(mooring_tpm_create_storage_root_key(tpm, MOORING_TPM_UNIQUE_ZEROS), TPM2_RC_BAD_AUTH + TPM2_RC_S + TPM2_RC_1);
    mooring_tpm_close(tpm);
    tpm = open_with_auth(&swtpm, "right");
    create_root_keys(tpm);
    mooring_tpm_close(tpm);
    EXPECT(bystander_count_loaded(&by) == 0);
    bystander_close(&by);
    swtpm_stop(&swtpm);
}

static void recovers_from_leftovers(void)
{
    struct swtpm swtpm;
    struct bystander by;
    mooring_tpm *tpm;

    swtpm_start(&swtpm);
    bystander_open(&by, swtpm.tcti);
    tpm = open_tpm(&swtpm);
    create_root_keys(tpm);
    mooring_tpm_close(tpm);
    bystander_fill_session_slots(&by);
    tpm = open_tpm(&swtpm);
    EXPECT_RC(mooring_tpm_write_marker(tpm, MARKER, (const uint8_t[MOORING_TPM_NAME_SIZE]){ 0 }), TPM2_RC_SESSION_MEMORY);
    EXPECT_RC(mooring_tpm_flush_leftovers(tpm), 0U);
    EXPECT_RC(mooring_tpm_write_marker(tpm, MARKER, (const uint8_t[MOORING_TPM_NAME_SIZE]){ 0 }), 0U);
    EXPECT_RC(mooring_tpm_flush_leftovers(tpm), 0U); /* our own session among them */
    EXPECT_RC(mooring_tpm_remove_marker(tpm, MARKER), 0U);
    mooring_tpm_close(tpm);
    EXPECT(bystander_count_loaded(&by) == 0);
    bystander_close(&by);
    swtpm_stop(&swtpm);
}

static void survives_the_loss_of_the_tpm(void)
{
    struct swtpm swtpm;
    uint8_t bytes[MOORING_TPM_PUBLIC_MAX];
    uint32_t size = sizeof(bytes);
    mooring_tpm_facts facts;
    mooring_tpm *tpm;

    swtpm_start(&swtpm);
    tpm = open_tpm(&swtpm);
    create_root_keys(tpm);
    EXPECT_RC(mooring_tpm_storage_root_key(tpm, bytes, &size), 0U);
    swtpm_kill(&swtpm);
    EXPECT(mooring_tpm_describe(tpm, &facts) != 0);
    EXPECT(mooring_tpm_flush_leftovers(tpm) != 0);
    EXPECT(mooring_tpm_remove_marker(tpm, MARKER) != 0);
    mooring_tpm_close(tpm);
    swtpm_stop(&swtpm);
}

static double seconds(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void gives_up_on_a_tpm_that_does_not_answer(void)
{
    struct swtpm swtpm;
    mooring_tpm_facts facts;
    mooring_tpm *tpm;
    uint32_t command = 0, limit_ms = 0;
    double started;

    swtpm_start(&swtpm);
    tpm = open_tpm(&swtpm);
    mooring_tpm_set_timeout(tpm, 200);
    EXPECT_RC(mooring_tpm_describe(tpm, &facts), 0U);
    swtpm_freeze(&swtpm);
    started = seconds();
    EXPECT_RC(mooring_tpm_describe(tpm, &facts), MOORING_TPM_RC_TIMEOUT);
    EXPECT(seconds() - started >= 0.2 && seconds() - started < 1);
    mooring_tpm_last_command(tpm, &command, &limit_ms);
    EXPECT(command == TPM2_CC_GetCapability && limit_ms == 200);
    EXPECT_RC(mooring_tpm_describe(tpm, &facts), MOORING_TPM_RC_TIMEOUT);
    EXPECT_RC(mooring_tpm_flush_leftovers(tpm), MOORING_TPM_RC_TIMEOUT);
    mooring_tpm_close(tpm);
    EXPECT(seconds() - started < 1);
    swtpm_thaw(&swtpm);
    tpm = open_tpm(&swtpm);
    EXPECT_RC(mooring_tpm_describe(tpm, &facts), 0U);
    mooring_tpm_close(tpm);
    swtpm_stop(&swtpm);
}

static void pause_a_moment(void)
{
    const struct timespec moment = { .tv_nsec = 100000000 };

    (void)nanosleep(&moment, NULL);
}

static void *describe(void *tpm)
{
    mooring_tpm_facts facts;

    EXPECT_RC(mooring_tpm_describe(tpm, &facts), 0U);
    return NULL;
}

/* Such a one, started in the middle of a command, keeps every descriptor that is not its parent's alone. */
static void is_not_kept_waiting_by_a_child(void)
{
    struct swtpm swtpm;
    mooring_tpm_facts facts;
    mooring_tpm *tpm;
    pthread_t asking;
    pid_t child;

    swtpm_start(&swtpm);
    tpm = open_tpm(&swtpm);
    swtpm_freeze(&swtpm);
    EXPECT(pthread_create(&asking, NULL, describe, tpm) == 0);
    pause_a_moment();
    child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            (void)pause();
    }
    swtpm_thaw(&swtpm);
    EXPECT(pthread_join(asking, NULL) == 0);
    mooring_tpm_set_timeout(tpm, 2000);
    EXPECT_RC(mooring_tpm_describe(tpm, &facts), 0U);
    mooring_tpm_close(tpm);
    EXPECT(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    swtpm_stop(&swtpm);
}

static volatile sig_atomic_t signals_handled;

static void handle(int number)
{
    (void)number;
    signals_handled = signals_handled + 1;
}

/* Only the main thread could take the signal, and does not want it: it has to wait. */
static void leaves_signals_to_others(void)
{
    const struct sigaction action = { .sa_handler = handle };
    struct swtpm swtpm;
    sigset_t some, pending;
    mooring_tpm *tpm;

    EXPECT(sigaction(SIGUSR1, &action, NULL) == 0);
    swtpm_start(&swtpm);
    tpm = open_tpm(&swtpm);
    EXPECT(sigemptyset(&some) == 0 && sigaddset(&some, SIGUSR1) == 0);
    EXPECT(pthread_sigmask(SIG_BLOCK, &some, NULL) == 0);
    EXPECT(kill(getpid(), SIGUSR1) == 0);
    pause_a_moment();
    EXPECT(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) == 1 && signals_handled == 0);
    EXPECT(pthread_sigmask(SIG_UNBLOCK, &some, NULL) == 0 && signals_handled == 1);
    mooring_tpm_close(tpm);
    swtpm_stop(&swtpm);
}

static void *cancel_in_a_moment(void *tpm)
{
    pause_a_moment();
    mooring_tpm_cancel(tpm);
    return NULL;
}

static void can_be_cancelled(void)
{
    struct swtpm swtpm;
    struct bystander by;
    mooring_tpm_facts facts;
    mooring_tpm *tpm;
    pthread_t canceller;
    double started;

    swtpm_start(&swtpm);
    bystander_open(&by, swtpm.tcti);
    tpm = open_tpm(&swtpm);
    create_root_keys(tpm); /* leaves a session open */
    mooring_tpm_cancel(tpm);
    EXPECT_RC(mooring_tpm_remove_marker(tpm, MARKER), TPM2_RC_CANCELED);
    EXPECT(bystander_count_loaded(&by) == 0);
    mooring_tpm_resume(tpm);
    EXPECT_RC(mooring_tpm_remove_marker(tpm, MARKER), MOORING_TPM_RC_ABSENT);

    swtpm_freeze(&swtpm);
    EXPECT(pthread_create(&canceller, NULL, cancel_in_a_moment, tpm) == 0);
    started = seconds();
    EXPECT_RC(mooring_tpm_describe(tpm, &facts), MOORING_TPM_RC_TIMEOUT);
    EXPECT(seconds() - started < 2);
    EXPECT(pthread_join(canceller, NULL) == 0);
    mooring_tpm_close(tpm);
    EXPECT(seconds() - started < 2);
    swtpm_thaw(&swtpm);
    bystander_close(&by);
    swtpm_stop(&swtpm);
}

static void explains_response_codes(void)
{
    char text[256], tiny[5];

    for (TSS2_RC rc = MOORING_TPM_RC_ABSENT; rc <= MOORING_TPM_RC_TIMEOUT; rc++) {
        mooring_tpm_explain(rc, text, sizeof(text));
        EXPECT(strlen(text) > 10);
    }
    mooring_tpm_explain(TPM2_RC_LOCKOUT, text, sizeof(text));
    EXPECT(strstr(text, "tpm:") != NULL);
    mooring_tpm_explain(TPM2_RC_LOCKOUT, tiny, sizeof(tiny));
    EXPECT(strcmp(tiny, "tpm:") == 0);
    mooring_tpm_explain(TPM2_RC_LOCKOUT, NULL, 10);
    mooring_tpm_explain(TPM2_RC_LOCKOUT, tiny, 0);
}

int main(void)
{
    checks_its_arguments();
    explains_response_codes();
    finds_or_creates_root_keys();
    refuses_root_keys_of_another_kind();
    works_with_a_key_of_the_service();
    reads_the_endorsement_certificate(false);
    reads_the_endorsement_certificate(true);
    uses_the_owners_authorization();
    recovers_from_leftovers();
    survives_the_loss_of_the_tpm();
    gives_up_on_a_tpm_that_does_not_answer();
    can_be_cancelled();
    is_not_kept_waiting_by_a_child();
    leaves_signals_to_others();
    (void)printf("native: all checks pass\n");
    return EXIT_SUCCESS;
}
