// e^x where the bounds are known; whoever calls it chooses them.

#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

// e^x between -87 and 88, within two units in the last place; a loop of it becomes wide.
inline float bounded_exponential(float x) {
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
