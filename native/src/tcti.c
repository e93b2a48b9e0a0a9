/* The courier as ESYS knows it: a TCTI. Here it is decided how long the TPM may take, how often a busy one is asked again,
 * and what is still sent after a cancellation. */
#include <tss2/tss2_mu.h>

#include "courier.h"

#define FIRST_PAUSE_MS 10U
#define LONGEST_PAUSE_MS 500U

uint32_t mooring_tcti_code(const uint8_t *header)
{
    size_t offset = 6;
    uint32_t code = 0;

    (void)Tss2_MU_UINT32_Unmarshal(header, MOORING_HEADER_SIZE, &offset, &code);
    return code;
}

/* Small chips search a minute and more for the primes of a key; everything else takes seconds at most. */
uint32_t mooring_tcti_limit_ms(const struct mooring_courier *courier)
{
    const bool makes_key = mooring_tcti_code(courier->command) == TPM2_CC_CreatePrimary;

    return makes_key ? courier->timeout_ms * MOORING_TPM_KEY_CREATION_FACTOR : courier->timeout_ms;
}

/* The answer to what is not even asked any more, in the TPM's own words: ESYS then goes on, to clean up. */
static TSS2_RC answer_cancelled(struct mooring_courier *courier)
{
    static const uint8_t cancelled[MOORING_HEADER_SIZE] = {
        0x80, 0x01, 0, 0, 0, MOORING_HEADER_SIZE, 0, 0, TPM2_RC_CANCELED >> 8, TPM2_RC_CANCELED & 0xFF
    };

    memcpy(courier->response, cancelled, sizeof(cancelled));
    courier->response_size = sizeof(cancelled);
    return TSS2_RC_SUCCESS;
}

static TSS2_RC ask(struct mooring_courier *courier)
{
    if (courier->is_cancelled && mooring_tcti_code(courier->command) != TPM2_CC_FlushContext)
        return answer_cancelled(courier);
    return mooring_courier_carry(courier, after(now(), mooring_tcti_limit_ms(courier)));
}

/* The TPM, or the resource manager before it, did not begin with the command and wants to be asked again. */
static bool is_busy(const struct mooring_courier *courier)
{
    switch (mooring_tcti_code(courier->response) & ~TSS2_RC_LAYER_MASK) {
    case TPM2_RC_RETRY:
    case TPM2_RC_TESTING:
    case TPM2_RC_YIELDED:
    case TPM2_RC_NV_RATE:
    case TPM2_RC_NV_UNAVAILABLE:
        return true;
    default:
        return false;
    }
}

static TSS2_RC ask_until_taken(struct mooring_courier *courier)
{
    uint32_t pause_ms = FIRST_PAUSE_MS;
    TSS2_RC rc = ask(courier);

    while (rc == TSS2_RC_SUCCESS && is_busy(courier) && !courier->is_cancelled && !is_past(courier->busy_limit)) {
        const struct timespec pause_ends = earlier(after(now(), pause_ms), courier->busy_limit);

        while (!courier->is_cancelled && mooring_courier_wait(courier, pause_ends))
            ;
        rc = ask(courier);
        pause_ms = pause_ms * 2 < LONGEST_PAUSE_MS ? pause_ms * 2 : LONGEST_PAUSE_MS;
    }
    return rc;
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *tcti, size_t size, const uint8_t *command)
{
    struct mooring_courier *courier = (struct mooring_courier *)tcti;
    TSS2_RC rc = TSS2_RC_SUCCESS;

    (void)pthread_mutex_lock(&courier->lock);
    if (courier->is_abandoned)
        rc = MOORING_TPM_RC_TIMEOUT;
    else if (size < MOORING_HEADER_SIZE || size > sizeof(courier->command))
        rc = TSS2_TCTI_RC_BAD_VALUE;
    if (rc == TSS2_RC_SUCCESS) {
        memcpy(courier->command, command, size);
        courier->command_size = size;
    }
    (void)pthread_mutex_unlock(&courier->lock);
    return rc;
}

/* The limits are ours, whatever ESYS asks for (for ever). */
static TSS2_RC receive(TSS2_TCTI_CONTEXT *tcti, size_t *size, uint8_t *response, int32_t timeout)
{
    struct mooring_courier *courier = (struct mooring_courier *)tcti;
    TSS2_RC rc;

    (void)timeout;
    if (response == NULL) {
        *size = sizeof(courier->response);
        return TSS2_RC_SUCCESS;
    }
    (void)pthread_mutex_lock(&courier->lock);
    rc = courier->is_abandoned ? MOORING_TPM_RC_TIMEOUT : ask_until_taken(courier);
    if (rc == TSS2_RC_SUCCESS && courier->response_size > *size)
        rc = TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
    if (rc == TSS2_RC_SUCCESS) {
        memcpy(response, courier->response, courier->response_size);
        *size = courier->response_size;
    }
    (void)pthread_mutex_unlock(&courier->lock);
    return rc;
}

void mooring_tcti_init(struct mooring_courier *courier)
{
    courier->tcti.v1.version = 2;
    courier->tcti.v1.transmit = transmit;
    courier->tcti.v1.receive = receive;
}
