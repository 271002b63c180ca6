// Where each function that `hal` calls stands in the tables of NVIDIA's interfaces, by the headers that this is compiled with, and
// that it takes and gives what `hal` believes. `make gpu-check` has hal/tests/tensorrt.rs compare the numbers with hal/src/accel/tensorrt/abi.rs.
//
// One line for each function: its name there and its place; none where these headers have no such function. What a pointer to a
// virtual function holds is the place (Itanium C++ ABI, 2.3): the offset in the table, on x86-64 with 1 added.
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <type_traits>

#include "NvInfer.h"
#include "NvOnnxParser.h"

using namespace nvinfer1;
using namespace nvinfer1::apiv;

namespace {

template <typename Function, typename Class>
using Member = Function Class::*;

template <typename Function>
int place(Function function) {
    static_assert(sizeof(Function) == 16);
    std::ptrdiff_t parts[2];
    std::memcpy(parts, &function, sizeof parts);
    return static_cast<int>((parts[0] - 1) / static_cast<std::ptrdiff_t>(sizeof(void*)));
}

void say(char const* name, long place) {
    if (place >= 0) std::printf("%s %ld\n", name, place);
}

// In a template, so that a function that is not there is no error.
#define PLACE(NAME, CLASS, METHOD, ...)                                                                  \
    say(NAME, []<typename Class>(Class*) {                                                               \
        if constexpr (requires { static_cast<Member<__VA_ARGS__, Class>>(&Class::METHOD); })                   \
            return place(static_cast<Member<__VA_ARGS__, Class>>(&Class::METHOD));                             \
        else return -1;                                                                                  \
    }(static_cast<CLASS*>(nullptr)))

}  // namespace

// Stand for what old headers lack.
namespace nvinfer1 {
class IRuntimeConfig;
class IRuntimeCache;
enum class ComputeCapability : int32_t;
namespace apiv {
class VRuntimeConfig;
class VRuntimeCache;
}  // namespace apiv
}  // namespace nvinfer1

namespace {

struct Nothing {};
template <typename Class, typename = void>
struct Known {
    using type = Nothing;
};
template <typename Class>
struct Known<Class, std::void_t<decltype(sizeof(Class))>> {
    using type = Class;
};

// Where a public object points to what implements it.
template <typename Class>
struct Inside : Class {
    static long implementation() { return static_cast<long>(__builtin_offsetof(Inside, mImpl)); }
};
template <>
struct Inside<ILayer> : ILayer {
    static long implementation() { return static_cast<long>(__builtin_offsetof(Inside, mLayer)); }
};

template <typename... Classes>
long implementation() {
    long offsets[] = {Inside<Classes>::implementation()...};
    for (long offset : offsets) {
        if (offset != offsets[0]) return 0;
    }
    return offsets[0];
}

}  // namespace

int main() {
    std::printf("version %d\n", NV_TENSORRT_MAJOR * 10000 + NV_TENSORRT_MINOR * 100 + NV_TENSORRT_PATCH);
    say("strongly_typed", 1L << static_cast<int>(NetworkDefinitionCreationFlag::kSTRONGLY_TYPED));
    say("sizeof_dims", sizeof(Dims));
    say("offset_implementation",
        implementation<IBuilder, INetworkDefinition, IBuilderConfig, IOptimizationProfile, ITensor, ILayer, IHostMemory, ITimingCache,
            IRuntime, ICudaEngine, IExecutionContext>());
    // Numbers that the calls pass.
    static_assert(static_cast<int>(DataType::kFLOAT) == 0 && static_cast<int>(DataType::kHALF) == 1);
    static_assert(static_cast<int>(ILogger::Severity::kINTERNAL_ERROR) == 0 && static_cast<int>(ILogger::Severity::kVERBOSE) == 4);
    static_assert(static_cast<int>(MemoryPoolType::kWORKSPACE) == 0);
    static_assert(static_cast<int>(OptProfileSelector::kMIN) == 0 && static_cast<int>(OptProfileSelector::kMAX) == 2);
    static_assert(static_cast<int>(TensorIOMode::kINPUT) == 1 && static_cast<int>(TensorIOMode::kOUTPUT) == 2);
    static_assert(static_cast<int>(ExecutionContextAllocationStrategy::kSTATIC) == 0);

    PLACE("logger_log", ILogger, log, void(ILogger::Severity, char const*) noexcept);
    PLACE("progress_start", IProgressMonitor, phaseStart, void(char const*, char const*, int32_t) noexcept);
    PLACE("progress_step", IProgressMonitor, stepComplete, bool(char const*, int32_t) noexcept);
    PLACE("progress_finish", IProgressMonitor, phaseFinish, void(char const*) noexcept);

    PLACE("memory_data", VHostMemory, data, void*() const noexcept);
    PLACE("memory_size", VHostMemory, size, std::size_t() const noexcept);

    PLACE("builder_config", VBuilder, createBuilderConfig, IBuilderConfig*() noexcept);
    PLACE("builder_network", VBuilder, createNetworkV2, INetworkDefinition*(uint32_t) noexcept);
    PLACE("builder_profile", VBuilder, createOptimizationProfile, IOptimizationProfile*() noexcept);
    PLACE("builder_build", VBuilder, buildSerializedNetwork, IHostMemory*(INetworkDefinition&, IBuilderConfig&) noexcept);

    PLACE("network_layers", VNetworkDefinition, getNbLayers, int32_t() const noexcept);
    PLACE("network_layer", VNetworkDefinition, getLayer, ILayer*(int32_t) const noexcept);
    PLACE("network_inputs", VNetworkDefinition, getNbInputs, int32_t() const noexcept);
    PLACE("network_input", VNetworkDefinition, getInput, ITensor*(int32_t) const noexcept);
    PLACE("network_outputs", VNetworkDefinition, getNbOutputs, int32_t() const noexcept);
    PLACE("network_output", VNetworkDefinition, getOutput, ITensor*(int32_t) const noexcept);
    PLACE("layer_outputs", VLayer, getNbOutputs, int32_t() const noexcept);
    PLACE("layer_output_type", VLayer, getOutputType, DataType(int32_t) const noexcept);
    PLACE("tensor_name", VTensor, getName, char const*() const noexcept);
    PLACE("tensor_shape", VTensor, getDimensions, Dims() const noexcept);
    PLACE("tensor_type", VTensor, getType, DataType() const noexcept);

    PLACE("profile_shape", VOptimizationProfile, setDimensions, bool(char const*, OptProfileSelector, Dims const&) noexcept);
    PLACE("config_profile", VBuilderConfig, addOptimizationProfile, int32_t(IOptimizationProfile const*) noexcept);
    PLACE("config_timing_cache", VBuilderConfig, createTimingCache, ITimingCache*(void const*, std::size_t) const noexcept);
    PLACE("config_set_timing_cache", VBuilderConfig, setTimingCache, bool(ITimingCache const&, bool) noexcept);
    PLACE("config_memory_limit", VBuilderConfig, setMemoryPoolLimit, void(MemoryPoolType, std::size_t) noexcept);
    PLACE("config_aux_streams", VBuilderConfig, setMaxAuxStreams, void(int32_t) noexcept);
    PLACE("config_aux_streams", VBuilderConfig, setMaxAuxStreams, bool(int32_t) noexcept);
    PLACE("config_progress", VBuilderConfig, setProgressMonitor, void(IProgressMonitor*) noexcept);
    PLACE("config_capabilities", Known<VBuilderConfig>::type, setNbComputeCapabilities, bool(int32_t) noexcept);
    PLACE("config_capability", Known<VBuilderConfig>::type, setComputeCapability, bool(ComputeCapability, int32_t) noexcept);
    PLACE("timing_serialize", VTimingCache, serialize, IHostMemory*() const noexcept);

    PLACE("parser_parse", nvonnxparser::IParser, parse, bool(void const*, std::size_t, char const*) noexcept);
    PLACE("parser_errors", nvonnxparser::IParser, getNbErrors, int() const noexcept);
    PLACE("parser_error", nvonnxparser::IParser, getError, nvonnxparser::IParserError const*(int) const noexcept);
    PLACE("parser_libraries", nvonnxparser::IParser, getUsedVCPluginLibraries, char const* const*(int64_t&) const noexcept);
    PLACE("error_text", nvonnxparser::IParserError, desc, char const*() const);
    PLACE("error_node", nvonnxparser::IParserError, node, int() const);
    PLACE("error_node_name", nvonnxparser::IParserError, nodeName, char const*() const);
    PLACE("error_operator", nvonnxparser::IParserError, nodeOperator, char const*() const);

    PLACE("runtime_engine", VRuntime, deserializeCudaEngine, ICudaEngine*(void const*, std::size_t) noexcept);
    PLACE("engine_context", VCudaEngine, createExecutionContext, IExecutionContext*(ExecutionContextAllocationStrategy) noexcept);
    PLACE("engine_tensors", VCudaEngine, getNbIOTensors, int32_t() const noexcept);
    PLACE("engine_tensor", VCudaEngine, getIOTensorName, char const*(int32_t) const noexcept);
    PLACE("engine_mode", VCudaEngine, getTensorIOMode, TensorIOMode(char const*) const noexcept);
    PLACE("engine_shape", VCudaEngine, getTensorShape, Dims(char const*) const noexcept);
    PLACE("engine_type", VCudaEngine, getTensorDataType, DataType(char const*) const noexcept);
    PLACE("engine_memory", VCudaEngine, getDeviceMemorySizeV2, int64_t() const noexcept);
    PLACE("engine_runtime_config", VCudaEngine, createRuntimeConfig, IRuntimeConfig*() noexcept);
    PLACE("engine_context_with", VCudaEngine, createExecutionContextWithRuntimeConfig, IExecutionContext*(IRuntimeConfig*) noexcept);
    PLACE("runtime_config_cache", Known<VRuntimeConfig>::type, createRuntimeCache, IRuntimeCache*() const noexcept);
    PLACE("runtime_config_set", Known<VRuntimeConfig>::type, setRuntimeCache, bool(IRuntimeCache const&) noexcept);
    PLACE("kernels_serialize", Known<VRuntimeCache>::type, serialize, IHostMemory*() const noexcept);
    PLACE("kernels_deserialize", Known<VRuntimeCache>::type, deserialize, bool(void const*, std::size_t) noexcept);
    PLACE("context_set_shape", VExecutionContext, setInputShape, bool(char const*, Dims const&) noexcept);
    PLACE("context_shape", VExecutionContext, getTensorShape, Dims(char const*) const noexcept);
    PLACE("context_address", VExecutionContext, setTensorAddress, bool(char const*, void*) noexcept);
    PLACE("context_enqueue", VExecutionContext, enqueueV3, bool(cudaStream_t) noexcept);
    return 0;
}
