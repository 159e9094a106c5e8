// For RTLD_NEXT.
#define _GNU_SOURCE

#include "SimulationRuntime.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#if __has_include(<sys/syscall.h>)
#include <sys/syscall.h>
#endif

// MARK: Jobs
//
// Declared by Swift's runtime (swift/Runtime/Concurrency.h); a hook is the runtime's own seam for tools and tests.

#define SWIFT_CALL __attribute__((swiftcall))

typedef SWIFT_CALL void (*EnqueueOriginal)(void *job);
typedef SWIFT_CALL void (*EnqueueHook)(void *job, EnqueueOriginal original);
typedef SWIFT_CALL void (*DelayOriginal)(unsigned long long delay, void *job);
typedef SWIFT_CALL void (*DelayHook)(unsigned long long delay, void *job, DelayOriginal original);

extern EnqueueHook swift_task_enqueueGlobal_hook;
extern EnqueueHook swift_task_enqueueMainExecutor_hook;
extern DelayHook swift_task_enqueueGlobalWithDelay_hook;

// An executor reference of two words; both zero: the generic executor.
extern SWIFT_CALL void swift_job_run(void *job, void *executor, void *implementation);

static void (*simulation_enqueue)(void *job) = NULL;

static SWIFT_CALL void enqueue_hook(void *job, EnqueueOriginal original) {
    (void)original;
    simulation_enqueue(job);
}

static SWIFT_CALL void delay_hook(unsigned long long delay, void *job, DelayOriginal original) {
    (void)delay;
    (void)job;
    (void)original;
    // A real timer has been asked for, so that the history would not be that of the seed.
    abort();
}

void simulation_run(void *job) {
    swift_job_run(job, NULL, NULL);
}

// MARK: Random numbers

static uint64_t random_state = 0;
static int is_simulated = 0;

static uint64_t next_random(void) {
    random_state += 0x9E3779B97F4A7C15ULL;
    uint64_t mixed = random_state;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9ULL;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBULL;
    return mixed ^ (mixed >> 31);
}

static void fill_with_random(unsigned char *bytes, size_t count) {
    for (size_t offset = 0; offset < count; offset += 8) {
        uint64_t word = next_random();
        for (size_t index = 0; index < 8 && offset + index < count; index++) {
            bytes[offset + index] = (unsigned char)(word >> (8 * index));
        }
    }
}

void simulation_seed(uint64_t seed) {
    random_state = seed;
}

#if defined(__linux__) && defined(SYS_getrandom)
// Swift's standard library gets its random numbers, and the seed of its hash tables, by this function of the C library.
// The engine needs no seam for either: owner tokens, jitter and the order of dictionaries are those of the seed.
long syscall(long number, ...) {
    long arguments[6];
    va_list list;
    va_start(list, number);
    for (int index = 0; index < 6; index++) arguments[index] = va_arg(list, long);
    va_end(list);
    if (number == SYS_getrandom && is_simulated) {
        fill_with_random((unsigned char *)arguments[0], (size_t)arguments[1]);
        return arguments[1];
    }
    static long (*original)(long, ...) = NULL;
    if (original == NULL) original = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return original(
        number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}
#endif

void simulation_begin(void (*enqueue)(void *job)) {
    is_simulated = 1;
    simulation_enqueue = enqueue;
    swift_task_enqueueGlobal_hook = enqueue_hook;
    swift_task_enqueueMainExecutor_hook = enqueue_hook;
    swift_task_enqueueGlobalWithDelay_hook = delay_hook;
}
