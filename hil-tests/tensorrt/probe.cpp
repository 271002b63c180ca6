// Asks NVIDIA's own parser and builder about one network, without a GPU: which operators the parser does not know, and whether an
// engine can be built for each compute capability. `make gpu-check` compiles and calls it; nothing of it is shipped.
//
//   probe NETWORK EXTENT CAPABILITY...    EXTENT stands for every open extent but the first, which is 1
//
// One line to standard output, divided by tabs: layers, seconds of all builds, bytes of the largest engine, peak memory in MiB,
// capabilities for which an engine was built, those for which none was, and what loading one without a driver gave. What is wrong
// goes to standard error; the exit status is 1 when the parser refuses the network or an engine is loaded that cannot be.
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

#include "NvInfer.h"
#include "NvOnnxParser.h"

using namespace nvinfer1;

namespace {

// Keeps the last message, because it is the reason of the null that follows.
class Log : public ILogger {
public:
    std::string last;

    void log(Severity severity, char const* message) noexcept override {
        if (severity <= Severity::kERROR) last = message;
    }
};

[[noreturn]] void fail(std::string const& why) {
    std::fprintf(stderr, "probe: %s\n", why.c_str());
    std::exit(1);
}

// Linked at run time, so that this compiles without the libraries.
template <typename Function>
Function function(char const* library, char const* name) {
    void* handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
    if (handle == nullptr) fail(dlerror());
    void* found = dlsym(handle, name);
    if (found == nullptr) fail(std::string(name) + " is not in " + library);
    return reinterpret_cast<Function>(found);
}

constexpr char const* TENSORRT = "libtensorrt_rtx.so.1";
constexpr char const* PARSER = "libtensorrt_onnxparser_rtx.so.1";

// Peak resident memory of this process, MiB.
long peak_mib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.rfind("VmHWM:", 0) == 0) return std::atol(line.c_str() + 6) / 1024;
    }
    return 0;
}

// An engine has a fixed range for each open extent: here one value.
void fix_extents(IBuilder& builder, INetworkDefinition& network, IBuilderConfig& config, int extent) {
    IOptimizationProfile* profile = builder.createOptimizationProfile();
    bool open = false;
    for (int i = 0; i < network.getNbInputs(); ++i) {
        ITensor* input = network.getInput(i);
        Dims dims = input->getDimensions();
        for (int axis = 0; axis < dims.nbDims; ++axis) {
            if (dims.d[axis] >= 0) continue;
            dims.d[axis] = axis == 0 ? 1 : extent;
            open = true;
        }
        for (auto which : {OptProfileSelector::kMIN, OptProfileSelector::kOPT, OptProfileSelector::kMAX}) {
            if (!profile->setDimensions(input->getName(), which, dims)) fail("an input cannot be given a size");
        }
    }
    if (open && config.addOptimizationProfile(profile) < 0) fail("the sizes of the inputs are not accepted");
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 4) fail("usage: probe NETWORK EXTENT CAPABILITY...");
    int const extent = std::atoi(arguments[2]);
    Log log;
    auto create_builder = function<void* (*)(void*, int)>(TENSORRT, "createInferBuilder_INTERNAL");
    auto create_runtime = function<void* (*)(void*, int)>(TENSORRT, "createInferRuntime_INTERNAL");
    auto create_parser = function<void* (*)(void*, void*, int)>(PARSER, "createNvOnnxParser_INTERNAL");

    std::unique_ptr<IBuilder> builder(static_cast<IBuilder*>(create_builder(&log, NV_TENSORRT_VERSION)));
    if (!builder) fail("no builder: " + log.last);
    std::unique_ptr<INetworkDefinition> network(builder->createNetworkV2(0));
    std::unique_ptr<nvonnxparser::IParser> parser(
        static_cast<nvonnxparser::IParser*>(create_parser(network.get(), &log, NV_ONNX_PARSER_VERSION)));
    if (!parser) fail("no parser: " + log.last);
    bool const parsed = parser->parseFromFile(arguments[1], static_cast<int>(ILogger::Severity::kERROR));
    for (int i = 0; i < parser->getNbErrors(); ++i) std::fprintf(stderr, "probe: %s\n", parser->getError(i)->desc());
    if (!parsed || parser->getNbErrors() != 0) fail("the parser refuses the network");

    std::string built, not_built;
    auto const add = [](std::string& list, char const* one) { list += (list.empty() ? "" : ",") + std::string(one); };
    size_t largest = 0;
    std::unique_ptr<IHostMemory> engine;
    auto const begun = std::chrono::steady_clock::now();
    for (int i = 3; i < count; ++i) {
        std::unique_ptr<IBuilderConfig> config(builder->createBuilderConfig());
        fix_extents(*builder, *network, *config, extent);
        auto const capability = static_cast<ComputeCapability>(std::atoi(arguments[i]));
        // A build for a capability that was refused ends in a misleading message about the driver.
        if (!config->setNbComputeCapabilities(1) || !config->setComputeCapability(capability, 0)) {
            std::fprintf(stderr, "probe: %s: this TensorRT knows no such capability\n", arguments[i]);
            add(not_built, arguments[i]);
            continue;
        }
        std::unique_ptr<IHostMemory> made(builder->buildSerializedNetwork(*network, *config));
        if (!made) std::fprintf(stderr, "probe: %s: %s\n", arguments[i], log.last.c_str());
        add(made ? built : not_built, arguments[i]);
        if (!made) continue;
        largest = std::max(largest, made->size());
        engine = std::move(made);
    }
    double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();

    // Without a driver an engine must not load, and say why: the box would otherwise believe in a card that is not there.
    std::string loaded = "not tried";
    if (engine && dlopen("libcuda.so.1", RTLD_NOW) != nullptr) {
        loaded = "not tried (a driver is here)";
    } else if (engine) {
        log.last.clear();
        std::unique_ptr<IRuntime> runtime(static_cast<IRuntime*>(create_runtime(&log, NV_TENSORRT_VERSION)));
        if (!runtime) fail("no runtime: " + log.last);
        std::unique_ptr<ICudaEngine> made(runtime->deserializeCudaEngine(engine->data(), engine->size()));
        if (made) fail("an engine was loaded without a driver");
        if (log.last.empty()) fail("an engine was not loaded, and nothing says why");
        loaded = "refused: " + log.last;
    }
    auto const shown = [](std::string const& list) { return list.empty() ? "-" : list.c_str(); };
    std::printf("%d\t%.2f\t%zu\t%ld\t%s\t%s\t%s\n", network->getNbLayers(), seconds, largest, peak_mib(), shown(built),
        shown(not_built), loaded.c_str());
    return 0;
}
