// Swift's `Mutex` takes a lock that is in use, and gives up one that is waited for, inside of its library, which is not
// compiled for the thread sanitizer: to that, neither happens. These take the places of the library's two functions, call
// them, and tell the sanitizer.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *

typedef SWIFT void (*LockSlow)(uint32_t thread, SELF mutex);
typedef SWIFT void (*UnlockSlow)(SELF mutex);

void __tsan_acquire(void *address);
void __tsan_release(void *address);

SWIFT void lockSlow(uint32_t thread, SELF mutex) __asm__(LOCK_SLOW);
SWIFT void unlockSlow(SELF mutex) __asm__(UNLOCK_SLOW);

static void *original(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (!function) abort();
    return function;
}

SWIFT void lockSlow(uint32_t thread, SELF mutex) {
    ((LockSlow)original(LOCK_SLOW))(thread, mutex);
    __tsan_acquire(mutex);
}

SWIFT void unlockSlow(SELF mutex) {
    __tsan_release(mutex);
    ((UnlockSlow)original(UNLOCK_SLOW))(mutex);
}
