/* Points in time, on the clock that never jumps. */
#ifndef MOORING_TPM_LIMIT_H
#define MOORING_TPM_LIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define NANOSECONDS 1000000000L

static inline struct timespec now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return time;
}

static inline struct timespec after(struct timespec time, uint32_t ms)
{
    time.tv_sec += (time_t)(ms / 1000);
    time.tv_nsec += (long)(ms % 1000) * 1000000L;
    if (time.tv_nsec >= NANOSECONDS) {
        time.tv_sec++;
        time.tv_nsec -= NANOSECONDS;
    }
    return time;
}

static inline bool is_before(struct timespec a, struct timespec b)
{
    return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

static inline struct timespec earlier(struct timespec a, struct timespec b)
{
    return is_before(a, b) ? a : b;
}

static inline bool is_past(struct timespec limit)
{
    return !is_before(now(), limit);
}

#endif
