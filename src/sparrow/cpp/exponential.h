// e^x, as exact as attention and its neighbours need it.

#pragma once
#include <algorithm>

#include "bounded_exponential.h"

// e^x between -60 and 88, within two units in the last place; a loop of it becomes wide.
// Less than e^-60 is lost beside one, and products with it would be subnormal: slow.
inline float exponential(float x) {
  x = std::min(std::max(x, -60.0f), 88.0f);
  return bounded_exponential(x);
}
