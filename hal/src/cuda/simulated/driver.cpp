// A driver of NVIDIA's without a card: the functions of libcuda that `hal::cuda` uses, on plain memory. Kernels run as C++ (grid.hpp).
// Work is done late, when somebody asks for an event behind it, so that memory that is given back too early is noticed. It checks what a
// card would not: addresses, ends of buffers, arguments. `scanside_driver` is for tests: it makes the card fail, and says what was seen.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "grid.hpp"
#include "kernels.cu"

typedef int Code;
enum { OK = 0, INVALID = 1, MEMORY = 2, NO_DEVICE = 100, NOT_READY = 600, NOT_FOUND = 500, INVALID_PTX = 218, ADDRESS = 700, ALREADY_REGISTERED = 712, NOT_SUPPORTED = 801 };

struct Stream {
  int priority;
  std::deque<std::function<Code()>> work;
};
struct Event {
  Stream* stream;
  bool recorded = false, over = false;
};
struct Module {
  std::string text;
};
// A dmabuf that was imported; any file in memory will do.
struct External {
  int fd;
  std::size_t bytes;
  void* mapped;
};
struct Kernel {
  const char* name;
  std::size_t count;
  std::size_t sizes[24];
  void (*run)(Index3 grid, Index3 block, void** arguments);
};

// Around each piece of memory; a kernel that writes beyond it is seen when the memory is given back.
static const std::size_t EDGE = 64;
static const unsigned char MARK = 0xA5;

static std::recursive_mutex lock;
static std::map<uintptr_t, std::size_t> memory; // address, bytes
static std::map<uintptr_t, std::size_t> registered; // memory of the host that the card reads
static std::map<std::string, long long> seen;
static long long cards = 1, hung = 0, no_memory = 0, fails = 0, free_memory = 6ll << 30, integrated = 1, no_register = 0, dmabuf = 0, takes_fd = 0;
static std::map<uintptr_t, External*> imported; // by their address
static Code dead = OK;
static int context;

#define GUARD std::lock_guard<std::recursive_mutex> guard(lock)

static void* take(std::size_t bytes) {
  unsigned char* all = static_cast<unsigned char*>(std::malloc(bytes + 2 * EDGE));
  std::memset(all, MARK, bytes + 2 * EDGE);
  memory[reinterpret_cast<uintptr_t>(all + EDGE)] = bytes;
  return all + EDGE;
}

static Code give_back(uintptr_t address) {
  auto found = memory.find(address);
  if (found == memory.end()) {
    seen["freed twice"]++;
    return INVALID;
  }
  unsigned char* all = reinterpret_cast<unsigned char*>(address) - EDGE;
  for (std::size_t i = 0; i < EDGE; i++)
    if (all[i] != MARK || all[EDGE + found->second + i] != MARK) {
      seen["written beyond"]++;
      break;
    }
  std::memset(all, 0xDD, found->second + 2 * EDGE);
  std::free(all);
  memory.erase(found);
  return OK;
}

// Whether these bytes lie in one piece of memory that is still taken, registered or imported.
static bool lies(uintptr_t address, std::size_t bytes) {
  auto in = [&](const std::map<uintptr_t, std::size_t>& pieces) {
    auto after = pieces.upper_bound(address);
    if (after == pieces.begin()) return false;
    --after;
    return address + bytes <= after->first + after->second;
  };
  if (in(memory) || in(registered)) return true;
  for (auto& [start, external] : imported)
    if (address >= start && address + bytes <= start + external->bytes) return true;
  return false;
}

static Code queue(void* stream, std::function<Code()> work) {
  if (dead != OK) return dead;
  static_cast<Stream*>(stream)->work.push_back(std::move(work));
  return OK;
}

static Code copy(uintptr_t to, uintptr_t from, std::size_t bytes) {
  if (!lies(to, bytes) || !lies(from, bytes)) {
    seen["bad address"]++;
    return dead = ADDRESS;
  }
  std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes);
  return OK;
}

template <class F>
static Kernel kernel_of(const char* name, F* function, void (*run)(Index3, Index3, void**)) {
  Kernel kernel{name, count(function), {}, run};
  sizes(function, kernel.sizes);
  return kernel;
}
#define KERNEL(name) kernel_of(#name, name, [](Index3 grid, Index3 block, void** a) { run(name, grid, block, a); })
static Kernel kernels[] = {KERNEL(letterbox), KERNEL(resample), KERNEL(whole), KERNEL(cut), KERNEL(blend), KERNEL(mark), KERNEL(odd)};

extern "C" {

long long scanside_driver(const char* what, long long value) {
  GUARD;
  std::string name = what;
  if (name == "cards") cards = value;
  else if (name == "hung") hung = value;
  else if (name == "no memory") no_memory = value;
  else if (name == "next work fails") fails = value;
  else if (name == "free") free_memory = value;
  else if (name == "integrated") integrated = value;
  else if (name == "no register") no_register = value;
  else if (name == "dmabuf") dmabuf = value;
  else if (name == "takes fd") takes_fd = value;
  else if (name == "registered now") return static_cast<long long>(registered.size());
  else if (name == "imported now") return static_cast<long long>(imported.size());
  else if (name == "heal") dead = OK, hung = 0, no_memory = 0, fails = 0, free_memory = 6ll << 30, integrated = 1, no_register = 0, dmabuf = 0, takes_fd = 0, seen.clear();
  else if (name == "taken") return static_cast<long long>(memory.size());
  else return seen[name];
  return 0;
}

Code cuInit(unsigned) { return cards == 0 ? NO_DEVICE : OK; }
Code cuDriverGetVersion(int* version) { return *version = 12080, OK; }
Code cuGetErrorName(int code, const char** text) { return code == 98765 ? INVALID : (*text = "CUDA_ERROR_SIMULATED", OK); }
Code cuGetErrorString(int code, const char** text) {
  if (code == 98765) return INVALID; // of a driver that is newer than this one
  *text = code == MEMORY ? "out of memory" : code == ADDRESS ? "an illegal memory access was encountered" : "simulated failure";
  return OK;
}
Code cuDeviceGetCount(int* count) { return *count = static_cast<int>(cards), OK; }
Code cuDeviceGet(int* device, int ordinal) { return *device = ordinal, OK; }
Code cuDeviceGetName(char* name, int length, int) { return std::strncpy(name, "Simulated card", static_cast<std::size_t>(length)), OK; }
Code cuDeviceGetAttribute(int* value, unsigned which, int) {
  *value = which == 75 ? 8 : which == 76 ? 7 : which == 18 ? static_cast<int>(integrated) : 0;
  return OK;
}
Code cuDevicePrimaryCtxRetain(void** out, int) { return *out = &context, seen["contexts"]++, OK; }
Code cuDevicePrimaryCtxRelease_v2(int) { return seen["contexts"]--, OK; }
Code cuCtxSetCurrent(void* wanted) { return dead != OK ? dead : wanted == &context ? OK : INVALID; }
Code cuCtxGetStreamPriorityRange(int* least, int* greatest) { return *least = 0, *greatest = -5, OK; }
Code cuMemGetInfo_v2(std::size_t* free, std::size_t* total) { return *free = std::size_t(free_memory), *total = std::size_t(8) << 30, OK; }

Code cuMemAlloc_v2(unsigned long long* address, std::size_t bytes) {
  GUARD;
  if (no_memory || bytes > (std::size_t(8) << 30)) return MEMORY;
  return *address = reinterpret_cast<unsigned long long>(take(bytes)), OK;
}
Code cuMemFree_v2(unsigned long long address) {
  GUARD;
  if (hung) seen["waited for a hung card"]++;
  auto found = imported.find(static_cast<uintptr_t>(address));
  if (found != imported.end()) {
    munmap(found->second->mapped, found->second->bytes);
    return found->second->mapped = nullptr, imported.erase(found), OK;
  }
  return give_back(address);
}
Code cuMemHostAlloc(void** address, std::size_t bytes, unsigned) {
  GUARD;
  if (no_memory) return MEMORY;
  return *address = take(bytes), OK;
}
Code cuMemFreeHost(void* address) {
  GUARD;
  if (hung) seen["waited for a hung card"]++;
  return give_back(reinterpret_cast<uintptr_t>(address));
}
Code cuMemHostRegister_v2(void* address, std::size_t bytes, unsigned flags) {
  GUARD;
  if (no_register) return NOT_SUPPORTED;
  // Memory that is mapped for reading needs both.
  if (flags != (2 | 8) || bytes == 0) return INVALID;
  if (registered.count(reinterpret_cast<uintptr_t>(address))) return ALREADY_REGISTERED;
  registered[reinterpret_cast<uintptr_t>(address)] = bytes;
  return seen["registrations"]++, OK;
}
Code cuMemHostUnregister(void* address) {
  GUARD;
  if (hung) seen["waited for a hung card"]++;
  auto found = registered.find(reinterpret_cast<uintptr_t>(address));
  if (found == registered.end()) return seen["freed twice"]++, INVALID;
  if (msync(address, found->second, MS_ASYNC) != 0) seen["unmapped before it was unregistered"]++;
  return registered.erase(found), OK;
}
Code cuMemHostGetDevicePointer_v2(unsigned long long* out, void* address, unsigned) {
  GUARD;
  if (!registered.count(reinterpret_cast<uintptr_t>(address))) return INVALID;
  return *out = reinterpret_cast<unsigned long long>(address), OK;
}
Code cuImportExternalMemory(void** out, const void* described) {
  GUARD;
  const char* at = static_cast<const char*>(described);
  unsigned kind, flags;
  int fd;
  unsigned long long bytes;
  std::memcpy(&kind, at, 4), std::memcpy(&fd, at + 8, 4), std::memcpy(&bytes, at + 24, 8), std::memcpy(&flags, at + 32, 4);
  seen["asked for imports"]++;
  if (!dmabuf) return NOT_SUPPORTED;
  if (kind != 9 || flags != 0) return INVALID;
  return *out = new External{fd, static_cast<std::size_t>(bytes), nullptr}, seen["imports"]++, OK;
}
Code cuExternalMemoryGetMappedBuffer(unsigned long long* out, void* memory, const void* described) {
  GUARD;
  External* external = static_cast<External*>(memory);
  unsigned long long part[2];
  std::memcpy(part, described, sizeof part);
  void* mapped = mmap(nullptr, external->bytes, PROT_READ, MAP_SHARED, external->fd, 0);
  if (mapped == MAP_FAILED || part[0] + part[1] > external->bytes) return INVALID;
  external->mapped = mapped;
  imported[reinterpret_cast<uintptr_t>(mapped)] = external;
  return *out = reinterpret_cast<unsigned long long>(mapped), OK;
}
Code cuDestroyExternalMemory(void* memory) {
  GUARD;
  External* external = static_cast<External*>(memory);
  if (external->mapped) seen["destroyed while mapped"]++;
  if (takes_fd) close(external->fd);
  return delete external, OK;
}
Code cuMemcpyHtoDAsync_v2(unsigned long long to, const void* from, std::size_t bytes, void* stream) {
  GUARD;
  seen["bytes up"] += static_cast<long long>(bytes);
  return queue(stream, [=] { return copy(to, reinterpret_cast<uintptr_t>(from), bytes); });
}
Code cuMemcpyDtoHAsync_v2(void* to, unsigned long long from, std::size_t bytes, void* stream) {
  GUARD;
  seen["bytes down"] += static_cast<long long>(bytes);
  return queue(stream, [=] { return copy(reinterpret_cast<uintptr_t>(to), from, bytes); });
}
Code cuMemsetD8Async(unsigned long long to, unsigned char value, std::size_t bytes, void* stream) {
  GUARD;
  return queue(stream, [=] {
    if (!lies(to, bytes)) return seen["bad address"]++, dead = ADDRESS;
    return std::memset(reinterpret_cast<void*>(to), value, bytes), OK + 0;
  });
}

Code cuStreamCreateWithPriority(void** out, unsigned flags, int priority) {
  GUARD;
  seen["priority"] = priority;
  seen["streams"]++;
  seen["flags"] = flags;
  return *out = new Stream{priority, {}}, OK;
}
Code cuStreamDestroy_v2(void* stream) {
  GUARD;
  if (!static_cast<Stream*>(stream)->work.empty()) seen["destroyed with work"]++;
  return delete static_cast<Stream*>(stream), OK;
}
#ifndef WITHOUT_WAIT
Code cuStreamWaitEvent(void* stream, void* event, unsigned) {
  GUARD;
  Event* before = static_cast<Event*>(event);
  return queue(stream, [=] {
    // What comes before in the other queue.
    while (!before->over && !before->stream->work.empty()) {
      auto work = before->stream->work.front();
      before->stream->work.pop_front();
      if (Code code = work()) return code;
    }
    return OK + 0;
  });
}
#endif
Code cuEventCreate(void** out, unsigned) { return *out = new Event{nullptr}, OK; }
Code cuEventRecord(void* event, void* stream) {
  GUARD;
  Event* mark = static_cast<Event*>(event);
  mark->stream = static_cast<Stream*>(stream);
  mark->recorded = true;
  return queue(stream, [=] { return mark->over = true, OK + 0; });
}
Code cuEventQuery(void* event) {
  GUARD;
  Event* mark = static_cast<Event*>(event);
  if (dead != OK) return dead;
  if (hung) return NOT_READY;
  while (!mark->over && !mark->stream->work.empty()) {
    auto work = mark->stream->work.front();
    mark->stream->work.pop_front();
    if (fails) return dead = static_cast<Code>(std::exchange(fails, 0));
    if (Code code = work()) return code;
  }
  return OK;
}
// An event that is still to come is let go later, as the driver does; here never.
Code cuEventDestroy_v2(void*) { return OK; }

// For the simulated TensorRT: not called by `hal`.
Code cuLaunchHostFunc(void* stream, void (*function)(void*), void* data) {
  GUARD;
  return queue(stream, [=] { return function(data), OK + 0; });
}

Code cuModuleLoadDataEx(void** out, const void* image, unsigned, unsigned* options, void** values) {
  GUARD;
  std::string text = static_cast<const char*>(image);
  if (text.find(".version") == std::string::npos || text.find(".target") == std::string::npos) {
    if (options[0] == 5) std::strcpy(static_cast<char*>(values[0]), "ptxas fatal: no version");
    return INVALID_PTX;
  }
  seen["programs"]++;
  return *out = new Module{text}, OK;
}
Code cuModuleUnload(void* module) {
  GUARD;
  seen["programs"]--;
  return delete static_cast<Module*>(module), OK;
}
Code cuModuleGetFunction(void** out, void* module, const char* name) {
  GUARD;
  if (static_cast<Module*>(module)->text.find(std::string(".entry ") + name + "(") == std::string::npos) return NOT_FOUND;
  for (Kernel& kernel : kernels)
    if (std::strcmp(kernel.name, name) == 0) return *out = &kernel, OK;
  return NOT_FOUND;
}
Code cuFuncGetAttribute(int* value, unsigned, void*) { return *value = 32, OK; }
Code cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned,
                    void* stream, void** arguments, void**) {
  GUARD;
  const Kernel* kernel = static_cast<Kernel*>(function);
  if (!gx || !gy || !gz || gy > 65535 || gz > 65535 || bx * by * bz > 1024) return INVALID;
  std::vector<std::vector<unsigned char>> copies;
  for (std::size_t i = 0; i < kernel->count; i++) {
    const unsigned char* from = static_cast<unsigned char*>(arguments[i]);
    copies.emplace_back(from, from + kernel->sizes[i]);
  }
  seen["launches"]++;
  return queue(stream, [=]() mutable {
    std::vector<void*> pointers;
    for (auto& copy : copies) pointers.push_back(copy.data());
    kernel->run({gx, gy, gz}, {bx, by, bz}, pointers.data());
    return OK + 0;
  });
}
}
