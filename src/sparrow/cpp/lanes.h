// The processor's registers, and how many sums of a product fit into them.

#pragma once
#include <cstdint>

#ifdef __AVX512F__
constexpr int LANES = 16, ROWS = 12;
#else
constexpr int LANES = 8, ROWS = 6;
#endif
constexpr int PANEL = 2 * LANES;  // outputs that stand side by side
typedef float Lanes __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

inline const Lanes& lanes(const float* x) { return *reinterpret_cast<const Lanes*>(x); }
inline Lanes& lanes(float* x) { return *reinterpret_cast<Lanes*>(x); }
