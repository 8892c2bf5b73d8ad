// Multiply rows by a matrix that was laid out for it.
//
// The matrix is cut into panels of as many outputs as two vector registers hold.

#pragma once
#include <cstdint>

#include "panel_tile.h"

struct Matrix {
  const float* panels;  // [ceil(outputs / PANEL), inputs, PANEL], filled up with zeros
  int64_t outputs, inputs;

  int64_t wide() const { return (outputs + PANEL - 1) / PANEL * PANEL; }
};

template <int COUNT>
inline void last_rows(int64_t rows, const float* x, int64_t x_step, const float* panel,
                      int64_t inputs, float* out, int64_t out_step, bool adds) {
  if constexpr (COUNT > 0) {
    if (rows == COUNT)
      panel_tile<COUNT>(x, x_step, panel, inputs, out, out_step, adds);
    else
      last_rows<COUNT - 1>(rows, x, x_step, panel, inputs, out, out_step, adds);
  }
}

// out [rows, wide] = x [rows, inputs] · matrixᵀ, or added to what is there.
inline void product(const Matrix& matrix, const float* x, int64_t x_step, int64_t rows,
                    float* out, int64_t out_step, bool adds = false) {
  for (int64_t first = 0; first < matrix.outputs; first += PANEL) {
    const float* panel = matrix.panels + first * matrix.inputs;
    int64_t row = 0;
    for (; row + ROWS <= rows; row += ROWS)
      panel_tile<ROWS>(x + row * x_step, x_step, panel, matrix.inputs,
                       out + row * out_step + first, out_step, adds);
    last_rows<ROWS - 1>(rows - row, x + row * x_step, x_step, panel, matrix.inputs,
                        out + row * out_step + first, out_step, adds);
  }
}
