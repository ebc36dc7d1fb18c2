/*
 * Preloaded into a server of a test (server-clock.ts): its wall clock is off by what stands in a file, from the moment that it
 * stands there, as after a step by NTP or a hand. Clocks that never step, and so time-outs and timers, stay true.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static const int64_t none = 0;
/* Milliseconds, changed by the test at any time; eight aligned bytes are read whole. Children share the mapping. */
static const volatile int64_t *offset_ms = &none;

__attribute__((constructor)) static void map_offset(void) {
  const char *path = getenv("TRACEHOUND_TEST_CLOCK");
  int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  if (page == MAP_FAILED) {
    /* A server with a true clock would make the test show nothing. */
    perror("the file of TRACEHOUND_TEST_CLOCK cannot be read");
    abort();
  }
  offset_ms = page;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
  static int (*real)(clockid_t, struct timespec *);
  if (real == NULL) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(clock, at);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    int64_t ms = *offset_ms;
    int64_t ns = at->tv_nsec + ms % 1000 * 1000000;
    int carry = (ns >= 1000000000) - (ns < 0);
    at->tv_sec += ms / 1000 + carry;
    at->tv_nsec = ns - carry * 1000000000;
  }
  return result;
}

int gettimeofday(struct timeval *at, void *zone) {
  (void)zone;
  struct timespec now;
  int result = clock_gettime(CLOCK_REALTIME, &now);
  if (result == 0) *at = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
  return result;
}

time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at != NULL) *at = now.tv_sec;
  return now.tv_sec;
}
