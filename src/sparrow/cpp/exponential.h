// e^x, as exact as attention and its neighbours need it.

#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

// e^x between -60 and 88, within two units in the last place; a loop of it becomes wide.
// Less than e^-60 is lost beside one, and products with it would be subnormal: slow.
inline float exponential(float x) {
  x = std::min(std::max(x, -60.0f), 88.0f);
  const float whole = std::nearbyint(x * 1.44269504f);
  const float rest = x - whole * 0.693359375f + whole * 2.12194440e-4f;
  float sum = 1.0f / 5040;
  for (const float each : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    sum = sum * rest + each;
  const int32_t bits = (static_cast<int32_t>(whole) + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return sum * power;
}
