/* What the TPM says about itself. */
#include "internal.h"

struct property {
    TPM2_PT tag;
    size_t offset;
};

#define FACT(tag, member) { tag, offsetof(mooring_tpm_facts, member) }

static const struct property properties[] = {
    FACT(TPM2_PT_MANUFACTURER, manufacturer),
    FACT(TPM2_PT_VENDOR_STRING_1, vendor_string[0]),
    FACT(TPM2_PT_VENDOR_STRING_2, vendor_string[1]),
    FACT(TPM2_PT_VENDOR_STRING_3, vendor_string[2]),
    FACT(TPM2_PT_VENDOR_STRING_4, vendor_string[3]),
    FACT(TPM2_PT_FIRMWARE_VERSION_1, firmware_version[0]),
    FACT(TPM2_PT_FIRMWARE_VERSION_2, firmware_version[1]),
    FACT(TPM2_PT_REVISION, revision),
    FACT(TPM2_PT_PERMANENT, permanent),
    FACT(TPM2_PT_LOCKOUT_COUNTER, lockout_counter),
    FACT(TPM2_PT_MAX_AUTH_FAIL, lockout_limit),
    FACT(TPM2_PT_LOCKOUT_INTERVAL, lockout_interval_s),
    FACT(TPM2_PT_LOCKOUT_RECOVERY, lockout_recovery_s),
    FACT(TPM2_PT_HR_TRANSIENT_AVAIL, transient_slots_free),
    FACT(TPM2_PT_HR_LOADED_AVAIL, session_slots_free),
    FACT(TPM2_PT_HR_PERSISTENT_AVAIL, persistent_slots_free),
};

static void note(mooring_tpm_facts *facts, const TPMS_TAGGED_PROPERTY *reported)
{
    for (size_t i = 0; i < sizeof(properties) / sizeof(properties[0]); i++)
        if (properties[i].tag == reported->property)
            memcpy((uint8_t *)facts + properties[i].offset, &reported->value, sizeof(reported->value));
}

/* Nothing authenticates such an answer, and ESYS lets one of another kind pass: a list may be longer than the array that
 * it is then taken for. */
TSS2_RC mooring_list(mooring_tpm *tpm, TPM2_CAP kind, UINT32 first, UINT32 count, TPMI_YES_NO *more,
                     TPMS_CAPABILITY_DATA **list)
{
    TSS2_RC rc = Esys_GetCapability(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, kind, first, count, more, list);

    if (rc == TSS2_RC_SUCCESS && (*list)->capability != kind) {
        Esys_Free(*list);
        *list = NULL;
        rc = MOORING_TPM_RC_INCONSISTENT;
    }
    return rc;
}

/* One group of properties; the TPM may answer in several pieces, each of which has to get on. */
static TSS2_RC read_group(mooring_tpm *tpm, TPM2_PT first, TPM2_PT last, mooring_tpm_facts *facts)
{
    TPMI_YES_NO more = TPM2_YES;

    while (more == TPM2_YES && first <= last) {
        TPMS_CAPABILITY_DATA *capability = NULL;
        const TPML_TAGGED_TPM_PROPERTY *list;
        TPM2_PT latest = last;
        TSS2_RC rc = mooring_list(tpm, TPM2_CAP_TPM_PROPERTIES, first, last - first + 1, &more, &capability);

        if (rc != TSS2_RC_SUCCESS)
            return rc;
        list = &capability->data.tpmProperties;
        for (UINT32 i = 0; i < list->count; i++)
            note(facts, &list->tpmProperty[i]);
        if (list->count > 0)
            latest = list->tpmProperty[list->count - 1].property;
        Esys_Free(capability);
        if (latest < first)
            return MOORING_TPM_RC_INCONSISTENT;
        if (latest >= last)
            more = TPM2_NO;
        else
            first = latest + 1;
    }
    return TSS2_RC_SUCCESS;
}

TSS2_RC mooring_tpm_describe(mooring_tpm *tpm, mooring_tpm_facts *facts)
{
    TSS2_RC rc = mooring_begin(tpm);

    if (rc != TSS2_RC_SUCCESS)
        return rc;
    if (facts == NULL)
        return MOORING_TPM_RC_ARGUMENT;
    memset(facts, 0, sizeof(*facts));
    rc = read_group(tpm, TPM2_PT_MANUFACTURER, TPM2_PT_FIRMWARE_VERSION_2, facts);
    if (rc == TSS2_RC_SUCCESS)
        rc = read_group(tpm, TPM2_PT_REVISION, TPM2_PT_REVISION, facts);
    if (rc == TSS2_RC_SUCCESS)
        rc = read_group(tpm, TPM2_PT_PERMANENT, TPM2_PT_LOCKOUT_RECOVERY, facts);
    return mooring_end(tpm, rc);
}
