// TensorRT and its parser without a card: objects with the tables of one version (places.h is made of abi.rs), on the simulated driver of
// `hal::cuda`. It knows two networks: one addition, and the text "Add patches C W D H V", which makes C channels of W for patches of
// D x H x V: each value is the mean of the windows times (c + 1) / C. A call at a place that it does not have ends the process. `scanside_tensorrt`
// is for tests: it makes calls answer with nothing, and says what was seen.
#include <dlfcn.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>

#include "places.h"

struct Dims {
  int32_t count;
  int64_t extents[8];
};

// Of the network of patches: channels of the answer and of the input, depth, rows, columns. 0 channels for the other network.
struct Patches {
  int64_t channels = 0, windows = 0, depth = 0, rows = 0, columns = 0;
  static Patches of(const std::string& text) {
    Patches made;
    auto at = text.find("patches ");
    if (at != std::string::npos)
      std::sscanf(text.c_str() + at, "patches %ld %ld %ld %ld %ld", &made.channels, &made.windows, &made.depth, &made.rows, &made.columns);
    return made;
  }
  std::string text() const {
    std::string all = "patches";
    for (int64_t n : {channels, windows, depth, rows, columns}) all += " " + std::to_string(n);
    return all;
  }
  Dims shape(bool input) const { return {5, {1, input ? windows : channels, depth, rows, columns}}; }
};

static std::map<std::string, long long> said; // what tests want, and what was seen
static long long alive = 0;

// Says once that it is to answer with nothing.
static bool fails(const char* what) {
  auto found = said.find(std::string("no ") + what);
  if (found == said.end() || found->second == 0) return false;
  found->second--;
  return true;
}

// A public object: its table and its implementation, which has a table of its own.
struct Thing;
struct Implementation {
  void** table;
  Thing* owner;
};
struct Thing {
  void** table;
  Implementation* implementation;
  Implementation own;
  Thing* parent;
  int children;
  std::string bytes;
  Dims shape;
  std::map<std::string, void*> addresses;
  void* other;
};

static void unexpected() {
  std::fprintf(stderr, "simulated TensorRT: a call at a place that this version does not have\n");
  std::abort();
}

struct Table {
  void* at[96];
  Table() {
    for (void*& place : at) place = reinterpret_cast<void*>(unexpected);
  }
  template <class F>
  Table& put(int place, F* function) {
    if (place >= 0) at[place] = reinterpret_cast<void*>(function);
    return *this;
  }
};

static void destroy(Thing* thing) {
  if (thing->children != 0) said["deleted with children"]++;
  if (thing->parent) thing->parent->children--;
  alive--;
  std::memset(static_cast<void*>(&thing->own), 0xDD, sizeof thing->own);
  delete thing;
}
static Table& destructors() {
  static Table table = Table().put(1, destroy);
  return table;
}

static Thing* make(Table& table, Thing* parent) {
  Thing* thing = new Thing{destructors().at, nullptr, {table.at, nullptr}, parent, 0, "", {2, {-1, 2}}, {}, nullptr};
  thing->implementation = &thing->own;
  thing->own.owner = thing;
  if (parent) parent->children++;
  alive++;
  return thing;
}

static void* logger;
static void log(int severity, const char* text) {
  void** table = *static_cast<void***>(logger);
  reinterpret_cast<void (*)(void*, int, const char*)>(table[AT_logger_log])(logger, severity, text);
}

// ---------------------------------------------------------------- bytes

static void* data(Implementation* of) { return &of->owner->bytes[0]; }
static std::size_t size(Implementation* of) { return of->owner->bytes.size(); }
static Thing* memory(const std::string& bytes) {
  static Table table = Table().put(AT_memory_data, data).put(AT_memory_size, size);
  Thing* made = make(table, nullptr);
  made->bytes = bytes;
  return made;
}

// ---------------------------------------------------------------- network

static const char* name(Implementation* of) { return of->owner->bytes.c_str(); }
static Dims shape(Implementation* of) { return of->owner->shape; }
static int32_t kind(Implementation*) { return 0; }
static int32_t one(Implementation*) { return 1; }
static int32_t first_kind(Implementation*, int32_t) { return 0; }

// Tensors and layers are the network's, as in TensorRT: here they stay for ever.
static Thing* tensor(const char* called) {
  static Table table = Table().put(AT_tensor_name, name).put(AT_tensor_shape, shape).put(AT_tensor_type, kind);
  Thing* made = make(table, nullptr);
  alive--;
  made->bytes = called;
  return made;
}
static Thing* end_of(Implementation* network, bool input) {
  static std::map<std::string, Thing*> all;
  Patches patches = Patches::of(network->owner->bytes);
  const char* called = patches.channels ? (input ? "image" : "probability") : (input ? "x" : "y");
  Thing*& found = all[called + patches.text()];
  if (!found) {
    found = tensor(called);
    if (patches.channels) found->shape = patches.shape(input);
  }
  return found;
}
static Thing* input(Implementation* of, int32_t) { return end_of(of, true); }
static Thing* output(Implementation* of, int32_t) { return end_of(of, false); }
static Thing* layer(Implementation*, int32_t) {
  static Table table = Table().put(AT_layer_outputs, one).put(AT_layer_output_type, first_kind);
  static Thing* add = make(table, nullptr);
  static bool counted = (alive--, true);
  (void)counted;
  return add;
}

// ---------------------------------------------------------------- building

static void remember(Implementation* of, int32_t, std::size_t bytes) { of->owner->shape.extents[2] = static_cast<int64_t>(bytes); }
static int32_t add_profile(Implementation* of, Thing* profile) { return of->owner->other = profile, 0; }
static void streams(Implementation*, int32_t count) { said["only our stream"] = count == 0; }
static void watch(Implementation* of, void* monitor) { of->owner->addresses["monitor"] = monitor; }
static bool capabilities(Implementation*, int32_t count) { return count == 1; }
static bool capability(Implementation*, int32_t wanted, int32_t) { return said["capability"] = wanted, !fails("capability"); }
static bool fix(Implementation* of, const char*, int32_t, const Dims* dims) { return of->owner->shape = *dims, true; }

static Thing* timings_of(Implementation*, const void*, std::size_t size);
static Thing* serialize_timings(Implementation*) { return memory("timings"); }
static bool use_timings(Implementation*, Thing*, bool) { return true; }
static Thing* timings_of(Implementation*, const void*, std::size_t bytes) {
  static Table table = Table().put(AT_timing_serialize, serialize_timings);
  said["timings given"] = static_cast<long long>(bytes);
  return fails("timings") ? nullptr : make(table, nullptr);
}

static Thing* config(Implementation* of) {
  static Table table = Table()
                           .put(AT_config_profile, add_profile)
                           .put(AT_config_timing_cache, timings_of)
                           .put(AT_config_set_timing_cache, use_timings)
                           .put(AT_config_memory_limit, remember)
                           .put(AT_config_aux_streams, streams)
                           .put(AT_config_progress, watch)
                           .put(AT_config_capabilities, capabilities)
                           .put(AT_config_capability, capability);
  return fails("config") ? nullptr : make(table, of->owner);
}
static Thing* profile(Implementation*) {
  static Table table = Table().put(AT_profile_shape, fix);
  if (fails("profile")) return nullptr;
  Thing* made = make(table, nullptr);
  alive--; // the builder's
  return made;
}
static Thing* network(Implementation* of, uint32_t flags) {
  static Table table = Table()
                           .put(AT_network_layers, one)
                           .put(AT_network_layer, layer)
                           .put(AT_network_inputs, one)
                           .put(AT_network_input, input)
                           .put(AT_network_outputs, one)
                           .put(AT_network_output, output);
  said["flags"] = flags;
  return fails("network") ? nullptr : make(table, of->owner);
}
static Thing* build(Implementation*, Thing* of, Thing* config) {
  void* monitor = config->addresses["monitor"];
  void** table = *static_cast<void***>(monitor);
  auto start = reinterpret_cast<void (*)(void*, const char*, const char*, int32_t)>(table[AT_progress_start]);
  auto step = reinterpret_cast<bool (*)(void*, const char*, int32_t)>(table[AT_progress_step]);
  auto finish = reinterpret_cast<void (*)(void*, const char*)>(table[AT_progress_finish]);
  start(monitor, "build", nullptr, 4);
  for (int32_t i = 0; i < 4; i++)
    if (!step(monitor, "build", i)) return nullptr;
  finish(monitor, "build");
  if (of->other == nullptr) {
    log(1, "the parser of the network has gone");
    return nullptr;
  }
  if (fails("plan")) {
    log(1, "[optimizer] out of memory, by script");
    return nullptr;
  }
  if (Patches::of(of->bytes).channels) return memory("PLAN " + of->bytes);
  const Dims& fixed = static_cast<Thing*>(config->other)->shape;
  return memory("PLAN " + std::to_string(fixed.extents[0]));
}

// ---------------------------------------------------------------- running

static int32_t two(Implementation*) { return 2; }
static const char* port(Implementation* of, int32_t index) {
  if (Patches::of(of->owner->bytes).channels) return index == 0 ? "image" : "probability";
  return index == 0 ? "x" : "y";
}
static bool is_input(const char* of) { return *of == 'x' || *of == 'i'; }
static int32_t mode(Implementation*, const char* of) { return is_input(of) ? 1 : 2; }
static Dims named_shape(Implementation* of, const char* called) {
  Thing* engine = of->owner->bytes.empty() ? of->owner->parent : of->owner;
  Patches patches = Patches::of(engine->bytes);
  return patches.channels ? patches.shape(is_input(called)) : of->owner->shape;
}
static int32_t named_kind(Implementation*, const char*) { return 0; }
static int64_t device_memory(Implementation*) { return 4096; }

static bool set_shape(Implementation* of, const char*, const Dims* dims) {
  Patches patches = Patches::of(of->owner->parent->bytes);
  if (patches.channels) {
    Dims own = patches.shape(true);
    return dims->count == own.count && std::memcmp(dims->extents, own.extents, sizeof(int64_t) * 5) == 0;
  }
  // The range of the engine is one value.
  std::string wanted = "PLAN " + std::to_string(dims->extents[0]);
  if (of->owner->parent->bytes != wanted) return false;
  return of->owner->shape = *dims, true;
}
static bool set_address(Implementation* of, const char* tensor, void* address) { return of->owner->addresses[tensor] = address, true; }
static bool enqueue(Implementation* of, void* stream) {
  if (fails("run")) {
    log(1, "Error Code 1: Cuda Runtime (simulated failure)");
    return false;
  }
  struct Run {
    const float* from;
    float* to;
    int64_t count;
    Patches patches;
    bool odd;
  };
  Thing* context = of->owner;
  Patches patches = Patches::of(context->parent->bytes);
  auto run = new Run{static_cast<float*>(context->addresses[patches.channels ? "image" : "x"]),
                     static_cast<float*>(context->addresses[patches.channels ? "probability" : "y"]),
                     context->shape.extents[0] * context->shape.extents[1], patches, fails("sense")};
  using Launch = int (*)(void*, void (*)(void*), void*);
  static auto launch = reinterpret_cast<Launch>(dlsym(dlopen("libcuda.so", RTLD_NOW | RTLD_NOLOAD), "cuLaunchHostFunc"));
  auto add = [](void* of) {
    Run* run = static_cast<Run*>(of);
    const Patches& patches = run->patches;
    int64_t voxels = patches.depth * patches.rows * patches.columns;
    for (int64_t i = 0; i < voxels; i++) {
      float sum = 0.0f;
      for (int64_t w = 0; w < patches.windows; w++) sum += run->from[w * voxels + i];
      for (int64_t c = 0; c < patches.channels; c++)
        run->to[c * voxels + i] = sum / (float)patches.windows * ((float)(c + 1) / (float)patches.channels);
    }
    if (!patches.channels)
      for (int64_t i = 0; i < run->count; i++) run->to[i] = run->from[i] + 1.0f;
    if (run->odd) run->to[voxels / 2] = std::nanf("");
    delete run;
  };
  said["runs"]++;
  return launch(stream, add, run) == 0;
}

static Thing* context(Thing* engine) {
  static Table table = Table()
                           .put(AT_context_set_shape, set_shape)
                           .put(AT_context_shape, named_shape)
                           .put(AT_context_address, set_address)
                           .put(AT_context_enqueue, enqueue);
  return fails("context") ? nullptr : make(table, engine);
}
static Thing* plain_context(Implementation* of, int32_t) { return context(of->owner); }
static Thing* context_with(Implementation* of, Thing*) { return context(of->owner); }

static Thing* compiled(Implementation*) { return memory("kernels"); }
static bool known(Implementation*, const void*, std::size_t) { return said["kernels given"]++, true; }
static bool set_kernels(Implementation*, Thing*) { return true; }
static Thing* kernels(Implementation*) {
  static Table table = Table().put(AT_kernels_serialize, compiled).put(AT_kernels_deserialize, known);
  return make(table, nullptr);
}
static Thing* settings(Implementation* of) {
  static Table table = Table().put(AT_runtime_config_cache, kernels).put(AT_runtime_config_set, set_kernels);
  return make(table, of->owner);
}

static Thing* engine(Implementation* of, const char* plan, std::size_t size) {
  static Table table = Table()
                           .put(AT_engine_context, plain_context)
                           .put(AT_engine_tensors, two)
                           .put(AT_engine_tensor, port)
                           .put(AT_engine_mode, mode)
                           .put(AT_engine_shape, named_shape)
                           .put(AT_engine_type, named_kind)
                           .put(AT_engine_memory, device_memory)
                           .put(AT_engine_runtime_config, settings)
                           .put(AT_engine_context_with, context_with);
  std::string bytes(plan, size);
  if (fails("engine") || bytes.compare(0, 5, "PLAN ") != 0) {
    log(1, "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (magicTag, by script)");
    return nullptr;
  }
  Thing* made = make(table, of->owner);
  made->bytes = bytes;
  return made;
}

// ---------------------------------------------------------------- parser

struct Parser {
  void** table;
  Thing* network;
  bool complains;
};
struct Complaint {
  void** table;
};
static const char* text(void*) { return "no importer for this operator, by script"; }
static int node(void*) { return 7; }
static const char* node_name(void*) { return "/net/odd"; }
static const char* operation(void*) { return "Odd"; }

static bool parse(Parser* parser, const char* bytes, std::size_t size, const char*) {
  std::string all(bytes, size);
  if (all.find("Add") != std::string::npos && !fails("parse")) {
    parser->network->other = parser;
    if (Patches::of(all).channels) parser->network->bytes = Patches::of(all).text();
    return true;
  }
  parser->complains = true;
  return false;
}
static int complaints(Parser* parser) { return parser->complains ? 1 : 0; }
static Complaint* complaint(Parser*, int) {
  static Table table =
      Table().put(AT_error_text, text).put(AT_error_node, node).put(AT_error_node_name, node_name).put(AT_error_operator, operation);
  static Complaint one{table.at};
  return &one;
}
static void end_parser(Parser* parser) {
  parser->network->other = nullptr;
  said["parsers"]--;
  delete parser;
}

extern "C" {

long long scanside_tensorrt(const char* what, long long value) {
  std::string wanted = what;
  if (wanted == "alive") return alive;
  if (wanted.compare(0, 3, "no ") == 0) return said[wanted] = value;
  return said[wanted];
}

int32_t getInferLibVersion() { return VERSION; }
int32_t getNvOnnxParserVersion() { return 200; }

void* createInferBuilder_INTERNAL(void* given, int32_t version) {
  static Table table = Table()
                           .put(AT_builder_config, config)
                           .put(AT_builder_network, network)
                           .put(AT_builder_profile, profile)
                           .put(AT_builder_build, build);
  logger = given;
  if (version != VERSION || fails("builder")) return log(1, "no builder, by script"), nullptr;
  return make(table, nullptr);
}

void* createInferRuntime_INTERNAL(void* given, int32_t version) {
  static Table table = Table().put(AT_runtime_engine, engine);
  logger = given;
  if (version != VERSION || fails("runtime")) return log(1, "no runtime, by script"), nullptr;
  return make(table, nullptr);
}

void* createNvOnnxParser_INTERNAL(void* network, void* given, int version) {
  static Table table = Table()
                           .put(AT_parser_parse, parse)
                           .put(AT_parser_errors, complaints)
                           .put(AT_parser_error, complaint)
                           .put(AT_parser_libraries - 1, end_parser);
  logger = given;
  if (version != 200 || fails("parser")) return log(1, "no parser, by script"), nullptr;
  said["parsers"]++;
  return new Parser{table.at, static_cast<Thing*>(network), false};
}
}
