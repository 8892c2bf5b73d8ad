// Read a step's tokens with a Llama whose matrices are kept in few bits.
//
// The same as `JoinedStep.hidden` on joined codes: that is the plain twin. All that a
// layer does happens in one parallel region, so nothing small costs a call.

#include <cfloat>
#include <vector>

#include "products.h"

namespace {

// e^x for x <= 88, within two units in the last place; a loop of it becomes wide.
inline float exponential(float x) {
  const float turns = std::max(x, -87.0f) * 1.44269504f;
  const float whole = std::nearbyint(turns), rest = (turns - whole) * 0.693147181f;
  float sum = 1.0f / 720;
  for (const float each : {1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    sum = sum * rest + each;
  const int32_t bits = (static_cast<int32_t>(whole) + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return sum * power;
}

struct Layer {
  Matrix joint, out, gate_up, down;
  const float *before_attention, *before_feed_forward;  // scales of the norms: [D]
  float* rows;  // keys, then values, of every slot: [slots, 2 · groups · head_dim]
};

struct Sizes {
  int64_t layers, width, middle, heads, groups, head_dim, block;
  float eps, scale;  // of the norms; of the scores of attention
};

struct Batch {
  int64_t tokens, pages;
  const int64_t *slots, *positions, *owners;  // [N]
  const int64_t* tables;                      // blocks of each owner: [B, pages]
  const float* turn;                          // cosine and sine: [N, head_dim / 2, 2]
};

void norm_and_round(const float* x, const float* scale, float eps, const Matrix& next,
                    float* room, int16_t* to, float* step) {
  float squares = 0;
  for (int64_t k = 0; k < next.width; k++) squares += x[k] * x[k];
  const float times = 1.0f / std::sqrt(squares / static_cast<float>(next.width) + eps);
  for (int64_t k = 0; k < next.width; k++) room[k] = x[k] * times * scale[k];
  round_row(room, next, to, step);
}

// Turn queries and keys, and keep the new key and value in their slot.
void turn_and_keep(float* joint, const float* turn, const Sizes& s, float* row) {
  const int64_t turned = (s.heads + s.groups) * s.head_dim;
  for (int64_t head = 0; head < turned; head += s.head_dim)
    for (int64_t i = 0; i < s.head_dim; i += 2) {
      const float a = joint[head + i], b = joint[head + i + 1];
      joint[head + i] = a * turn[i] - b * turn[i + 1];
      joint[head + i + 1] = a * turn[i + 1] + b * turn[i];
    }
  std::copy_n(joint + s.heads * s.head_dim, 2 * s.groups * s.head_dim, row);
}

// One head of one token looks at all rows of its text, block by block.
void attend(const float* query, const float* rows, const int64_t* table, int64_t length,
            int64_t group, const Sizes& s, std::vector<float>& weights, float* out) {
  const int64_t stride = 2 * s.groups * s.head_dim;
  const auto row = [&](int64_t t) {
    const int64_t slot = table[t / s.block] * s.block + t % s.block;
    return rows + slot * stride + group * s.head_dim;
  };
  weights.resize(length);
  float largest = -FLT_MAX, sum = 0;
  for (int64_t t = 0; t < length; t++) {
    const float* key = row(t);
    float score = 0;
    for (int64_t d = 0; d < s.head_dim; d++) score += query[d] * key[d];
    weights[t] = score * s.scale;
    largest = std::max(largest, weights[t]);
  }
  for (int64_t t = 0; t < length; t++) weights[t] = exponential(weights[t] - largest);
  for (int64_t t = 0; t < length; t++) sum += weights[t];
  std::fill_n(out, s.head_dim, 0.0f);
  for (int64_t t = 0; t < length; t++) {
    const float* value = row(t) + s.groups * s.head_dim;
    const float weight = weights[t] / sum;
    for (int64_t d = 0; d < s.head_dim; d++) out[d] += weight * value[d];
  }
}

void gate(const float* gate_up, int64_t middle, float* to) {
  for (int64_t k = 0; k < middle; k++)
    to[k] = gate_up[k] / (1.0f + exponential(-gate_up[k])) * gate_up[middle + k];
}

}  // namespace

extern "C" {

// out [rows, outputs] = x [rows, width] Wᵀ.
void sparrow_product(const Matrix* m, const float* x, int64_t rows, int threads,
                     float* out) {
  std::vector<int16_t> whole(rows * m->width);
  std::vector<float> steps(rows);
#pragma omp parallel num_threads(threads)
  {
#pragma omp for
    for (int64_t n = 0; n < rows; n++)
      round_row(x + n * m->width, *m, &whole[n * m->width], &steps[n]);
    multiply(*m, whole.data(), steps.data(), rows, out, false);
  }
}

// One new token of each text looks at its past: query [N, heads · head_dim].
void sparrow_attend(const float* rows, const Sizes* sizes, const Batch* batch,
                    int threads, const float* query, float* mixed) {
  const Sizes& s = *sizes;
#pragma omp parallel num_threads(threads)
  {
    std::vector<float> weights;
#pragma omp for schedule(dynamic)
    for (int64_t each = 0; each < batch->tokens * s.heads; each++) {
      const int64_t n = each / s.heads, group = each % s.heads / (s.heads / s.groups);
      attend(query + each * s.head_dim, rows,
             batch->tables + batch->owners[n] * batch->pages, batch->positions[n] + 1,
             group, s, weights, mixed + each * s.head_dim);
    }
  }
}

// hidden [N, D]: embeddings come in, states before the last norm go out.
void sparrow_step(const Layer* layers, const Sizes* sizes, const Batch* batch,
                  int threads, float* hidden) {
  const Sizes& s = *sizes;
  const int64_t count = batch->tokens, inner = s.heads * s.head_dim;
  const int64_t joined = inner + 2 * s.groups * s.head_dim;
  std::vector<int16_t> whole(count * std::max({s.width, s.middle, inner}));
  std::vector<float> steps(count), joint(count * joined), mixed(count * inner);
  std::vector<float> gate_up(count * 2 * s.middle);
#pragma omp parallel num_threads(threads)
  {
    std::vector<float> room(std::max(s.width, s.middle)), weights;
    for (const Layer* layer = layers; layer < layers + s.layers; layer++) {
#pragma omp for
      for (int64_t n = 0; n < count; n++)
        norm_and_round(hidden + n * s.width, layer->before_attention, s.eps, layer->joint,
                       room.data(), &whole[n * s.width], &steps[n]);
      multiply(layer->joint, whole.data(), steps.data(), count, joint.data(), false);
#pragma omp for
      for (int64_t n = 0; n < count; n++)
        turn_and_keep(&joint[n * joined], batch->turn + n * s.head_dim, s,
                      layer->rows + batch->slots[n] * 2 * s.groups * s.head_dim);
#pragma omp for schedule(dynamic)
      for (int64_t each = 0; each < count * s.heads; each++) {
        const int64_t n = each / s.heads, head = each % s.heads;
        attend(&joint[n * joined + head * s.head_dim], layer->rows,
               batch->tables + batch->owners[n] * batch->pages, batch->positions[n] + 1,
               head / (s.heads / s.groups), s, weights,
               &mixed[n * inner + head * s.head_dim]);
      }
#pragma omp for
      for (int64_t n = 0; n < count; n++)
        round_row(&mixed[n * inner], layer->out, &whole[n * inner], &steps[n]);
      multiply(layer->out, whole.data(), steps.data(), count, hidden, true);
#pragma omp for
      for (int64_t n = 0; n < count; n++)
        norm_and_round(hidden + n * s.width, layer->before_feed_forward, s.eps,
                       layer->gate_up, room.data(), &whole[n * s.width], &steps[n]);
      multiply(layer->gate_up, whole.data(), steps.data(), count, gate_up.data(), false);
#pragma omp for
      for (int64_t n = 0; n < count; n++) {
        gate(&gate_up[n * 2 * s.middle], s.middle, room.data());
        round_row(room.data(), layer->down, &whole[n * s.middle], &steps[n]);
      }
      multiply(layer->down, whole.data(), steps.data(), count, hidden, true);
    }
  }
}

}  // extern "C"
