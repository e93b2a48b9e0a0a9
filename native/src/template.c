/* The public areas that Azure's tools give to the EK and SRK, so that an existing enrollment keeps working.
 * TCG EK Credential Profile 2.x, template L-1; TCG TPM v2.0 Provisioning Guidance, SRK. */
#include "internal.h"

static void rsa_2048_storage_key(TPM2B_PUBLIC *public_area, TPMA_OBJECT attributes)
{
    memset(public_area, 0, sizeof(*public_area));
    public_area->publicArea.type = TPM2_ALG_RSA;
    public_area->publicArea.nameAlg = TPM2_ALG_SHA256;
    public_area->publicArea.objectAttributes = attributes;
    public_area->publicArea.parameters.rsaDetail = (TPMS_RSA_PARMS){
        .symmetric = { .algorithm = TPM2_ALG_AES, .keyBits = { .aes = 128 }, .mode = { .aes = TPM2_ALG_CFB } },
        .scheme = { .scheme = TPM2_ALG_NULL },
        .keyBits = 2048,
        .exponent = 0,
    };
}

void mooring_template_endorsement_key(TPM2B_PUBLIC *public_area)
{
    /* PolicySecret(TPM_RH_ENDORSEMENT) */
    static const uint8_t policy[] = { 0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc,
                                      0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52,
                                      0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa };

    rsa_2048_storage_key(public_area, TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                          TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_ADMINWITHPOLICY |
                                          TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT);
    public_area->publicArea.authPolicy.size = sizeof(policy);
    memcpy(public_area->publicArea.authPolicy.buffer, policy, sizeof(policy));
}

void mooring_template_storage_root_key(TPM2B_PUBLIC *public_area)
{
    rsa_2048_storage_key(public_area, TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                          TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                          TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT);
}

static bool same_attributes(TPMA_OBJECT actual, TPMA_OBJECT expected)
{
    /* An SRK that counts failed authorizations serves as well: its authorization value is empty. */
    const TPMA_OBJECT does_not_matter = TPMA_OBJECT_NODA;

    return (actual | does_not_matter) == (expected | does_not_matter);
}

/* Whether a key is of the template: everything but the number itself. */
bool mooring_template_matches(const TPM2B_PUBLIC *public_area, const TPM2B_PUBLIC *expected)
{
    const TPMT_PUBLIC *a = &public_area->publicArea;
    const TPMT_PUBLIC *e = &expected->publicArea;
    const TPMS_RSA_PARMS *rsa = &a->parameters.rsaDetail;

    return a->type == e->type && a->nameAlg == e->nameAlg &&
           same_attributes(a->objectAttributes, e->objectAttributes) && a->authPolicy.size == e->authPolicy.size &&
           memcmp(a->authPolicy.buffer, e->authPolicy.buffer, e->authPolicy.size) == 0 &&
           rsa->symmetric.algorithm == TPM2_ALG_AES && rsa->symmetric.keyBits.aes == 128 &&
           rsa->symmetric.mode.aes == TPM2_ALG_CFB && rsa->scheme.scheme == TPM2_ALG_NULL && rsa->keyBits == 2048 &&
           (rsa->exponent == 0 || rsa->exponent == 65537) && a->unique.rsa.size == 256;
}
