#include "bystander.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        const TSS2_RC must_rc = (call);                                                                                \
        if (must_rc != TSS2_RC_SUCCESS) {                                                                              \
            (void)fprintf(stderr, "check: %s: %s\n", #call, Tss2_RC_Decode(must_rc));                                  \
            exit(EXIT_FAILURE);                                                                                        \
        }                                                                                                              \
    } while (0)

#define NO_SESSION ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE
#define BY_PASSWORD ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE

static const TPM2B_SENSITIVE_CREATE no_sensitive;
static const TPM2B_DATA no_data;
static const TPML_PCR_SELECTION no_pcr;

void bystander_open(struct bystander *by, const char *tcti)
{
    by->tcti = NULL;
    by->esys = NULL;
    MUST(Tss2_TctiLdr_Initialize(tcti, &by->tcti));
    MUST(Esys_Initialize(&by->esys, by->tcti, NULL));
}

void bystander_close(struct bystander *by)
{
    Esys_Finalize(&by->esys);
    Tss2_TctiLdr_Finalize(&by->tcti);
}

static ESYS_TR persistent(struct bystander *by, TPM2_HANDLE handle)
{
    ESYS_TR object = ESYS_TR_NONE;

    MUST(Esys_TR_FromTPMPublic(by->esys, handle, NO_SESSION, &object));
    return object;
}

/* An HMAC key with known bits, which policy allows to duplicate. */
static ESYS_TR create_key(struct bystander *by, ESYS_TR parent, const uint8_t key[32], TPM2B_PUBLIC **public_area)
{
    /* PolicyCommandCode(TPM2_CC_Duplicate) */
    static const uint8_t policy[32] = { 0xbe, 0xf5, 0x6b, 0x8c, 0x1c, 0xc8, 0x4e, 0x11, 0xed, 0xd7, 0x17,
                                        0x52, 0x8d, 0x2c, 0xd9, 0x93, 0x56, 0xbd, 0x2b, 0xbf, 0x8f, 0x01,
                                        0x52, 0x09, 0xc3, 0xf8, 0x4a, 0xee, 0xab, 0xa8, 0xe8, 0xa2 };
    TPM2B_SENSITIVE_CREATE sensitive = { .sensitive = { .data = { .size = 32 } } };
    TPM2B_PUBLIC template = {
        .publicArea = {
            .type = TPM2_ALG_KEYEDHASH,
            .nameAlg = TPM2_ALG_SHA256,
            .objectAttributes = TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA,
            .authPolicy = { .size = sizeof(policy) },
            .parameters.keyedHashDetail.scheme = { .scheme = TPM2_ALG_HMAC, .details.hmac.hashAlg = TPM2_ALG_SHA256 },
        },
    };
    TPM2B_PRIVATE *private_area = NULL;
    ESYS_TR object = ESYS_TR_NONE;

    memcpy(template.publicArea.authPolicy.buffer, policy, sizeof(policy));
    memcpy(sensitive.sensitive.data.buffer, key, 32);
    MUST(Esys_Create(by->esys, parent, BY_PASSWORD, &sensitive, &template, &no_data, &no_pcr, &private_area,
                     public_area, NULL, NULL, NULL));
    MUST(Esys_Load(by->esys, parent, BY_PASSWORD, private_area, *public_area, &object));
    Esys_Free(private_area);
    return object;
}

static ESYS_TR duplication_session(struct bystander *by)
{
    const TPMT_SYM_DEF no_cipher = { .algorithm = TPM2_ALG_NULL };
    ESYS_TR session = ESYS_TR_NONE;

    MUST(Esys_StartAuthSession(by->esys, ESYS_TR_NONE, ESYS_TR_NONE, NO_SESSION, NULL, TPM2_SE_POLICY, &no_cipher,
                               TPM2_ALG_SHA256, &session));
    MUST(Esys_PolicyCommandCode(by->esys, session, NO_SESSION, TPM2_CC_Duplicate));
    return session;
}

size_t bystander_make_authentication_key(struct bystander *by, const uint8_t key[32], uint8_t *blob, size_t capacity)
{
    const TPMT_SYM_DEF_OBJECT aes = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB };
    const TPM2B_DATA wrapping_key = { .size = 16, .buffer = "0123456789abcde" };
    const TPM2B_DATA uri = { .size = 3, .buffer = "uri" };
    TPM2B_DIGEST credential = { .size = 16 };
    ESYS_TR endorsement_key = persistent(by, 0x81010001);
    ESYS_TR storage_root_key = persistent(by, 0x81000001);
    TPM2B_PUBLIC *public_area = NULL;
    TPM2B_PRIVATE *duplicate = NULL;
    TPM2B_ENCRYPTED_SECRET *duplicate_seed = NULL, *credential_seed = NULL;
    TPM2B_ID_OBJECT *credential_blob = NULL;
    TPM2B_NAME *root_name = NULL;
    ESYS_TR object = create_key(by, storage_root_key, key, &public_area);
    ESYS_TR session = duplication_session(by);
    size_t size = 0;

    MUST(Esys_Duplicate(by->esys, object, storage_root_key, session, ESYS_TR_NONE, ESYS_TR_NONE, &wrapping_key, &aes,
                        NULL, &duplicate, &duplicate_seed));
    MUST(Esys_FlushContext(by->esys, session));
    MUST(Esys_FlushContext(by->esys, object));
    memcpy(credential.buffer, wrapping_key.buffer, 16);
    MUST(Esys_TR_GetName(by->esys, storage_root_key, &root_name));
    MUST(Esys_MakeCredential(by->esys, endorsement_key, NO_SESSION, &credential, root_name, &credential_blob,
                             &credential_seed));

    MUST(Tss2_MU_TPM2B_ID_OBJECT_Marshal(credential_blob, blob, capacity, &size));
    MUST(Tss2_MU_TPM2B_ENCRYPTED_SECRET_Marshal(credential_seed, blob, capacity, &size));
    MUST(Tss2_MU_TPM2B_PRIVATE_Marshal(duplicate, blob, capacity, &size));
    MUST(Tss2_MU_TPM2B_ENCRYPTED_SECRET_Marshal(duplicate_seed, blob, capacity, &size));
    MUST(Tss2_MU_TPM2B_PUBLIC_Marshal(public_area, blob, capacity, &size));
    MUST(Tss2_MU_TPM2B_DATA_Marshal(&uri, blob, capacity, &size));
    Esys_Free(credential_blob);
    Esys_Free(credential_seed);
    Esys_Free(duplicate);
    Esys_Free(duplicate_seed);
    Esys_Free(public_area);
    Esys_Free(root_name);
    return size;
}

void bystander_occupy(struct bystander *by, TPM2_HANDLE handle)
{
    const TPM2B_PUBLIC template = {
        .publicArea = {
            .type = TPM2_ALG_ECC,
            .nameAlg = TPM2_ALG_SHA256,
            .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
                                TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_SIGN_ENCRYPT,
            .parameters.eccDetail = { .symmetric.algorithm = TPM2_ALG_NULL,
                                      .scheme.scheme = TPM2_ALG_NULL,
                                      .curveID = TPM2_ECC_NIST_P256,
                                      .kdf.scheme = TPM2_ALG_NULL },
        },
    };
    ESYS_TR object = ESYS_TR_NONE, kept = ESYS_TR_NONE;

    MUST(Esys_CreatePrimary(by->esys, ESYS_TR_RH_OWNER, BY_PASSWORD, &no_sensitive, &template, &no_data, &no_pcr,
                            &object, NULL, NULL, NULL, NULL));
    MUST(Esys_EvictControl(by->esys, ESYS_TR_RH_OWNER, object, BY_PASSWORD, handle, &kept));
    MUST(Esys_FlushContext(by->esys, object));
}

void bystander_define_nv(struct bystander *by, TPM2_HANDLE index, const uint8_t *content, uint16_t size, bool owner_only)
{
    const TPM2B_AUTH no_auth = { 0 };
    const TPM2B_NV_PUBLIC public_area = {
        .nvPublic = { .nvIndex = index,
                      .nameAlg = TPM2_ALG_SHA256,
                      .attributes = TPMA_NV_OWNERWRITE | TPMA_NV_OWNERREAD | TPMA_NV_NO_DA |
                                    (owner_only ? 0 : TPMA_NV_AUTHREAD),
                      .dataSize = size },
    };
    ESYS_TR nv = ESYS_TR_NONE;

    MUST(Esys_NV_DefineSpace(by->esys, ESYS_TR_RH_OWNER, BY_PASSWORD, &no_auth, &public_area, &nv));
    for (uint16_t offset = 0; content != NULL && offset < size;) {
        TPM2B_MAX_NV_BUFFER piece = { .size = (UINT16)(size - offset < 500 ? size - offset : 500) };

        memcpy(piece.buffer, content + offset, piece.size);
        MUST(Esys_NV_Write(by->esys, ESYS_TR_RH_OWNER, nv, BY_PASSWORD, &piece, offset));
        offset = (uint16_t)(offset + piece.size);
    }
}

void bystander_set_owner_auth(struct bystander *by, const char *password)
{
    TPM2B_AUTH auth = { .size = (UINT16)strlen(password) };

    memcpy(auth.buffer, password, auth.size);
    MUST(Esys_HierarchyChangeAuth(by->esys, ESYS_TR_RH_OWNER, BY_PASSWORD, &auth));
}

static uint32_t count_handles(struct bystander *by, TPM2_HANDLE first)
{
    TPMS_CAPABILITY_DATA *capability = NULL;
    TPMI_YES_NO more;
    uint32_t count;

    MUST(Esys_GetCapability(by->esys, NO_SESSION, TPM2_CAP_HANDLES, first, TPM2_MAX_CAP_HANDLES, &more, &capability));
    count = capability->data.handles.count;
    Esys_Free(capability);
    return count;
}

uint32_t bystander_count_loaded(struct bystander *by)
{
    return count_handles(by, (TPM2_HANDLE)TPM2_HT_TRANSIENT << TPM2_HR_SHIFT) + count_handles(by, (TPM2_HANDLE)TPM2_HT_LOADED_SESSION << TPM2_HR_SHIFT);
}

void bystander_fill_session_slots(struct bystander *by)
{
    const TPMT_SYM_DEF no_cipher = { .algorithm = TPM2_ALG_NULL };
    ESYS_TR session;

    while (Esys_StartAuthSession(by->esys, ESYS_TR_NONE, ESYS_TR_NONE, NO_SESSION, NULL, TPM2_SE_HMAC, &no_cipher,
                                 TPM2_ALG_SHA256, &session) == TSS2_RC_SUCCESS)
        ;
}
