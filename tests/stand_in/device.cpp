// A device whose tensors lie apart from those of the main processor, and which has the main processor compute for it.
// PyTorch refuses to mix its tensors with others, as on a GPU: what runs here has put all of them where they belong.
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/alloc_cpu.h>
#include <torch/extension.h>

using at::Tensor;
using c10::SymIntArrayRef;
using std::optional;

constexpr auto kind = c10::DeviceType::PrivateUse1;
constexpr c10::DispatchKeySet keys(c10::DispatchKey::PrivateUse1);

struct Memory final : c10::Allocator {
  c10::DataPtr allocate(size_t n) override {
    void* place = c10::alloc_cpu(n ? n : 1);
    return {place, place, &c10::free_cpu, c10::Device(kind, 0)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &c10::free_cpu; }
  void copy_data(void* to, const void* from, std::size_t n) const override { memcpy(to, from, n); }
};
static Memory memory;
REGISTER_ALLOCATOR(kind, &memory);

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return kind; }
  c10::Device exchangeDevice(c10::Device) const override { return {kind, 0}; }
  c10::Device getDevice() const override { return {kind, 0}; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device device) const override { return c10::Stream(c10::Stream::DEFAULT, device); }
  c10::Stream exchangeStream(c10::Stream stream) const override { return stream; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isAvailable() const override { return true; }
  bool isBuilt() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  void init() const override {}
  c10::DeviceIndex deviceCount() const override { return 1; }
};
static Hooks hooks;

// The same memory, seen from the main processor.
static Tensor seen(const Tensor& tensor) {
  if (tensor.device().is_cpu()) return tensor;
  return at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.strides(), tensor.options().device(at::kCPU));
}

static Tensor empty(SymIntArrayRef size, optional<at::ScalarType> type, optional<at::Layout>, optional<at::Device>,
                    optional<bool>, optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(C10_AS_INTARRAYREF_SLOW(size), &memory, keys, c10::dtype_or_default(type), format);
}

static Tensor empty_strided(SymIntArrayRef size, SymIntArrayRef stride, optional<at::ScalarType> type,
                            optional<at::Layout>, optional<at::Device>, optional<bool>) {
  return at::detail::empty_strided_generic(C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), &memory,
                                           keys, c10::dtype_or_default(type));
}

static Tensor copy_from(const Tensor& from, const Tensor& to, bool) {
  seen(to).copy_(seen(from));
  return to;
}

static const Tensor& resize(const Tensor& tensor, SymIntArrayRef size, optional<at::MemoryFormat>) {
  auto sizes = C10_AS_INTARRAYREF_SLOW(size);
  auto storage = tensor.storage();
  size_t n = (c10::multiply_integers(sizes) + tensor.storage_offset()) * tensor.itemsize();
  if (n > storage.nbytes()) {
    auto place = memory.allocate(n);
    memcpy(place.get(), storage.data(), storage.nbytes());
    storage.set_data_ptr(std::move(place));
    storage.set_nbytes(n);
  }
  tensor.unsafeGetTensorImpl()->set_sizes_contiguous(sizes);
  return tensor;
}

static Tensor copy_from_and_resize(const Tensor& from, const Tensor& to) {
  if (to.device().is_cpu()) to.resize_(from.sizes()); else resize(to, from.sym_sizes(), {});
  return copy_from(from, to, false);
}

static Tensor as_strided(const Tensor& tensor, SymIntArrayRef size, SymIntArrayRef stride, optional<c10::SymInt> at) {
  auto begin = at.has_value() ? optional<int64_t>(at->expect_int()) : std::nullopt;
  return at::native::as_strided_tensorimpl(tensor, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), begin);
}

static Tensor view(const Tensor& tensor, SymIntArrayRef size) {
  return at::native::view(tensor, C10_AS_INTARRAYREF_SLOW(size));
}

static Tensor reshape_alias(const Tensor& tensor, SymIntArrayRef size, SymIntArrayRef stride) {
  return at::native::_reshape_alias(tensor, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride));
}

static at::Scalar number(const Tensor& tensor) { return seen(tensor).item(); }

static void on_processor(const c10::OperatorHandle& call, torch::jit::Stack* stack) {
  at::native::cpu_fallback(call, stack);
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_and_resize);
  m.impl("resize_", resize);
  m.impl("as_strided", as_strided);
  m.impl("view", view);
  m.impl("_reshape_alias", reshape_alias);
  m.impl("_local_scalar_dense", number);
}
TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&on_processor>()); }
TORCH_LIBRARY_IMPL(_, AutocastPrivateUse1, m) { m.fallback(torch::CppFunction::makeFallthrough()); }
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { at::RegisterPrivateUse1HooksInterface(&hooks); }
