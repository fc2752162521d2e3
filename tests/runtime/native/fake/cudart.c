/* A CUDA runtime library whose GPU is the CPU: memory is malloc's, streams are done at once, graphs do nothing.
   FAKE_CUDA_GPUS says how many GPUs there are, FAKE_CUDA_FAIL=FUNCTION:CODE lets one function fail. */
#include <stdlib.h>
#include <string.h>
typedef unsigned long long u64;
static int gpus(void) { const char *t = getenv("FAKE_CUDA_GPUS"); return t ? atoi(t) : 1; }
static int fails(const char *name) {
  const char *t = getenv("FAKE_CUDA_FAIL");
  size_t n = strlen(name);
  return t && !strncmp(t, name, n) && t[n] == ':' ? atoi(t + n + 1) : 0;
}
#define MAYBE_FAIL { int code = fails(__func__); if (code) return code; }
int cudaRuntimeGetVersion(int *v) { *v = 12020; return 0; }
int cudaGetDeviceCount(int *n) { MAYBE_FAIL *n = gpus(); return *n ? 0 : 100; }
int cudaSetDevice(int d) { MAYBE_FAIL return d < gpus() ? 0 : 101; }
int cudaDeviceGetAttribute(int *v, int which, int d) { (void)d; *v = which == 75 ? 9 : 0; return 0; }
int cudaGetLastError(void) { return 0; }
int cudaMalloc(void **p, size_t n) { MAYBE_FAIL *p = malloc(n); return *p ? 0 : 2; }
int cudaFree(void *p) { MAYBE_FAIL free(p); return 0; }
int cudaMemcpyAsync(void *to, const void *from, size_t n, int kind, void *s) {
  MAYBE_FAIL if (!s || kind < 1 || kind > 2) return 1; memcpy(to, from, n); return 0;
}
int cudaStreamCreateWithFlags(void **s, unsigned f) { MAYBE_FAIL if (f != 1) return 1; *s = malloc(1); return 0; }
int cudaStreamSynchronize(void *s) { MAYBE_FAIL return s ? 0 : 1; }
int cudaStreamDestroy(void *s) { free(s); return 0; }
int cudaStreamBeginCapture(void *s, int mode) { MAYBE_FAIL return s && mode == 2 ? 0 : 1; }
int cudaStreamEndCapture(void *s, void **g) { (void)s; *g = 0; MAYBE_FAIL *g = malloc(1); return 0; }
int cudaGraphInstantiateWithFlags(void **e, void *g, u64 f) { MAYBE_FAIL if (!g || f) return 1; *e = malloc(1); return 0; }
int cudaGraphLaunch(void *e, void *s) { MAYBE_FAIL return e && s ? 0 : 1; }
int cudaGraphExecDestroy(void *e) { free(e); return 0; }
int cudaGraphDestroy(void *g) { free(g); return 0; }
const char *cudaGetErrorName(int c) {
  return c == 2 ? "cudaErrorMemoryAllocation" : c == 100 ? "cudaErrorNoDevice" : c == 35 ? "cudaErrorInsufficientDriver"
       : c == 900 ? "cudaErrorStreamCaptureUnsupported" : "cudaErrorInvalidValue";
}
const char *cudaGetErrorString(int c) {
  return c == 2 ? "out of memory" : c == 100 ? "no CUDA-capable device is detected"
       : c == 35 ? "CUDA driver version is insufficient for CUDA runtime version"
       : c == 900 ? "operation not permitted when stream is capturing" : "invalid argument";
}
