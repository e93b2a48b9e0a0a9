/* Carries commands to the TPM on a thread of its own. A driver or a simulator that never answers keeps whoever reads
 * from it, whatever timeout it is given (the swtpm TCTI takes none, older kernels work inside write). Who asked waits
 * here, with a limit, and then lets go: thread and connection are left to the end of the process, which they do not
 * delay. */
#include "courier.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <tss2/tss2_tctildr.h>
#include <unistd.h>

/* What is under way when a call is cancelled, and the clean-up after it, may take this much longer. */
#define GRACE_MS 1000U

static void release(struct mooring_courier *courier)
{
    bool is_last;

    (void)pthread_mutex_lock(&courier->lock);
    is_last = --courier->owners == 0;
    (void)pthread_mutex_unlock(&courier->lock);
    if (!is_last)
        return;
    (void)pthread_cond_destroy(&courier->changed);
    (void)pthread_mutex_destroy(&courier->lock);
    free(courier->conf);
    explicit_bzero(courier, sizeof(*courier));
    free(courier);
}

static void become(struct mooring_courier *courier, enum courier_state state, TSS2_RC rc)
{
    courier->state = state;
    courier->rc = rc;
    (void)pthread_cond_broadcast(&courier->changed);
}

/* ---- The thread ---- */

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif

/* Those of tpm2-tss that work on the thread that calls them. Others may have threads, which outlive this one and would be
 * left with its descriptors. */
static bool has_no_threads(const char *conf)
{
    static const char *const names[] = { "device", "swtpm", "mssim" };
    const size_t size = strcspn(conf, ":");

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strlen(names[i]) == size && memcmp(names[i], conf, size) == 0)
            return true;
    return false;
}

/* TCTIs open devices and sockets without O_CLOEXEC. A child of this process that was started meanwhile would hold on to
 * them, and a TPM that serves one at a time would wait for it and not for us. So the thread has file descriptors of its
 * own, the standard ones excepted. Linux before 5.9 cannot do that; then it goes on without. */
static void part_from_descriptors(const char *conf)
{
#ifdef SYS_close_range
    if (has_no_threads(conf))
        (void)syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_UNSHARE);
#else
    (void)has_no_threads(conf);
#endif
}

static TSS2_RC exchange(struct mooring_courier *courier, TSS2_TCTI_CONTEXT *tcti)
{
    TSS2_RC rc = Tss2_Tcti_Transmit(tcti, courier->command_size, courier->command);

    courier->response_size = sizeof(courier->response);
    if (rc == TSS2_RC_SUCCESS)
        rc = Tss2_Tcti_Receive(tcti, &courier->response_size, courier->response, TSS2_TCTI_TIMEOUT_BLOCK);
    if (rc == TSS2_RC_SUCCESS && courier->response_size < MOORING_HEADER_SIZE)
        rc = TSS2_TCTI_RC_MALFORMED_RESPONSE;
    return rc;
}

static void *run(void *argument)
{
    struct mooring_courier *courier = argument;
    TSS2_TCTI_CONTEXT *tcti = NULL;
    TSS2_RC rc;

    part_from_descriptors(courier->conf);
    rc = Tss2_TctiLdr_Initialize(courier->conf, &tcti);
    (void)pthread_mutex_lock(&courier->lock);
    become(courier, COURIER_ANSWERED, rc);
    for (;;) {
        while (courier->state == COURIER_ANSWERED && !courier->is_abandoned)
            (void)pthread_cond_wait(&courier->changed, &courier->lock);
        if (courier->state != COURIER_ASKED || courier->is_abandoned)
            break;
        (void)pthread_mutex_unlock(&courier->lock);
        rc = exchange(courier, tcti);
        (void)pthread_mutex_lock(&courier->lock);
        become(courier, COURIER_ANSWERED, rc);
    }
    (void)pthread_mutex_unlock(&courier->lock);
    if (tcti != NULL)
        Tss2_TctiLdr_Finalize(&tcti);
    (void)pthread_mutex_lock(&courier->lock);
    become(courier, COURIER_GONE, TSS2_RC_SUCCESS);
    (void)pthread_mutex_unlock(&courier->lock);
    release(courier);
    return NULL;
}

/* ---- Who asks ---- */

bool mooring_courier_wait(struct mooring_courier *courier, struct timespec limit)
{
    if (courier->is_cancelled)
        limit = earlier(limit, after(courier->cancelled_at, GRACE_MS));
    if (is_past(limit))
        return false;
    (void)pthread_cond_timedwait(&courier->changed, &courier->lock, &limit);
    return true;
}

static TSS2_RC wait_while(struct mooring_courier *courier, enum courier_state state, struct timespec limit)
{
    while (courier->state == state)
        if (!mooring_courier_wait(courier, limit)) {
            courier->is_abandoned = true;
            (void)pthread_cond_broadcast(&courier->changed);
            return MOORING_TPM_RC_TIMEOUT;
        }
    return courier->rc;
}

TSS2_RC mooring_courier_carry(struct mooring_courier *courier, struct timespec limit)
{
    become(courier, COURIER_ASKED, TSS2_RC_SUCCESS);
    return wait_while(courier, COURIER_ASKED, limit);
}

struct mooring_courier *mooring_courier_new(void)
{
    struct mooring_courier *courier = calloc(1, sizeof(*courier));
    pthread_condattr_t monotonic;

    if (courier == NULL)
        return NULL;
    mooring_tcti_init(courier);
    courier->owners = 1;
    courier->timeout_ms = MOORING_TPM_TIMEOUT_MS;
    (void)pthread_mutex_init(&courier->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&courier->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return courier;
}

void mooring_courier_free(struct mooring_courier *courier)
{
    release(courier);
}

/* Without signals: one that is handled on this thread would end the poll of a device, which TCTIs take for a failure. */
static bool start_thread(struct mooring_courier *courier)
{
    pthread_attr_t detached;
    pthread_t thread;
    sigset_t all, before;
    bool is_started;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)pthread_attr_init(&detached);
    (void)pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    is_started = pthread_create(&thread, &detached, run, courier) == 0;
    (void)pthread_attr_destroy(&detached);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return is_started;
}

/* Connecting is the thread's first errand: it too may never end. */
static TSS2_RC start(struct mooring_courier *courier, const char *conf)
{
    free(courier->conf);
    courier->conf = strdup(conf);
    if (courier->conf == NULL)
        return MOORING_TPM_RC_MEMORY;
    courier->owners++;
    courier->state = COURIER_ASKED;
    if (start_thread(courier))
        return TSS2_RC_SUCCESS;
    courier->owners--;
    courier->state = COURIER_GONE;
    return MOORING_TPM_RC_MEMORY;
}

TSS2_RC mooring_courier_open(struct mooring_courier *courier, const char *conf, TSS2_TCTI_CONTEXT **tcti)
{
    TSS2_RC rc;

    (void)pthread_mutex_lock(&courier->lock);
    rc = courier->is_abandoned ? MOORING_TPM_RC_TIMEOUT : start(courier, conf);
    if (rc == TSS2_RC_SUCCESS)
        rc = wait_while(courier, COURIER_ASKED, after(now(), courier->timeout_ms));
    (void)pthread_mutex_unlock(&courier->lock);
    *tcti = (TSS2_TCTI_CONTEXT *)courier;
    return rc;
}

void mooring_courier_close(struct mooring_courier *courier)
{
    (void)pthread_mutex_lock(&courier->lock);
    if (!courier->is_abandoned && courier->state != COURIER_GONE) {
        become(courier, COURIER_CLOSING, TSS2_RC_SUCCESS);
        (void)wait_while(courier, COURIER_CLOSING, after(now(), GRACE_MS));
    }
    courier->is_cancelled = false;
    (void)pthread_mutex_unlock(&courier->lock);
}

TSS2_RC mooring_courier_begin(struct mooring_courier *courier)
{
    TSS2_RC rc;

    (void)pthread_mutex_lock(&courier->lock);
    courier->busy_limit = after(now(), courier->timeout_ms);
    rc = courier->is_abandoned ? MOORING_TPM_RC_TIMEOUT : TSS2_RC_SUCCESS;
    (void)pthread_mutex_unlock(&courier->lock);
    return rc;
}

void mooring_courier_cancel(struct mooring_courier *courier, bool is_cancelled)
{
    (void)pthread_mutex_lock(&courier->lock);
    courier->is_cancelled = is_cancelled;
    courier->cancelled_at = now();
    (void)pthread_cond_broadcast(&courier->changed);
    (void)pthread_mutex_unlock(&courier->lock);
}

void mooring_courier_set_timeout(struct mooring_courier *courier, uint32_t timeout_ms)
{
    (void)pthread_mutex_lock(&courier->lock);
    courier->timeout_ms = timeout_ms;
    (void)pthread_mutex_unlock(&courier->lock);
}

void mooring_courier_last(struct mooring_courier *courier, uint32_t *command, uint32_t *limit_ms)
{
    (void)pthread_mutex_lock(&courier->lock);
    *command = courier->command_size > 0 ? mooring_tcti_code(courier->command) : 0;
    *limit_ms = courier->command_size > 0 ? mooring_tcti_limit_ms(courier) : courier->timeout_ms;
    (void)pthread_mutex_unlock(&courier->lock);
}
