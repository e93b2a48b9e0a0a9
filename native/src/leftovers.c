/* A program killed in the middle leaves objects and sessions loaded when no resource manager cleans up after it. */
#include <tss2/tss2_sys.h>

#include "internal.h"

static TSS2_RC flush_all(mooring_tpm *tpm, TSS2_SYS_CONTEXT *sys, TPM2_HANDLE first)
{
    TPMS_CAPABILITY_DATA *capability = NULL;
    TPMI_YES_NO more;
    TSS2_RC rc = mooring_list(tpm, TPM2_CAP_HANDLES, first, TPM2_MAX_CAP_HANDLES, &more, &capability);

    for (UINT32 i = 0; rc == TSS2_RC_SUCCESS && i < capability->data.handles.count; i++)
        rc = Tss2_Sys_FlushContext(sys, capability->data.handles.handle[i]);
    Esys_Free(capability);
    return rc;
}

TSS2_RC mooring_tpm_flush_leftovers(mooring_tpm *tpm)
{
    TSS2_SYS_CONTEXT *sys = NULL;
    TSS2_RC rc = mooring_begin(tpm);

    if (rc != TSS2_RC_SUCCESS)
        return rc;
    mooring_flush(tpm, &tpm->session);
    rc = Esys_GetSysContext(tpm->esys, &sys);
    if (rc == TSS2_RC_SUCCESS)
        rc = flush_all(tpm, sys, (TPM2_HANDLE)TPM2_HT_TRANSIENT << TPM2_HR_SHIFT);
    if (rc == TSS2_RC_SUCCESS)
        rc = flush_all(tpm, sys, (TPM2_HANDLE)TPM2_HT_LOADED_SESSION << TPM2_HR_SHIFT);
    return mooring_end(tpm, rc);
}
