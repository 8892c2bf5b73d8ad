// Read a step's tokens with a Llama, whatever its matrices are kept in.
//
// The same as `JoinedStep.hidden`: that is the plain twin. All that a layer does happens
// in one parallel region, so nothing small costs a call.

#include <cfloat>

#include "exponential.h"
#include "product.h"

namespace {

constexpr int TOGETHER = 4;        // heads that read a row of the cache together
constexpr int64_t AT_ONCE = 192;  // tokens that go through a layer together

struct Layer {
  Matrix joint, out, gate_up, down;
  const float *before_attention, *before_feed_forward;  // scales of the norms: [D]
  float* rows;  // keys, then values, of every slot: [slots, 2 · groups · head_dim]
};

struct Sizes {
  int64_t layers, width, middle, heads, groups, head_dim, block;
  float eps, scale;        // of the norms; of the scores of attention
  const float* last_norm;  // its scales: [D]
};

struct Batch {
  int64_t tokens, pages;
  const int64_t *slots, *positions, *owners;  // [N]
  const int64_t* tables;                      // blocks of each owner: [B, pages]
  const float* turn;                          // cosine and sine: [N, head_dim / 2, 2]
};

void norm(const float* x, const float* scale, float eps, int64_t width, float* to) {
  float squares = 0;
  for (int64_t k = 0; k < width; k++) squares += x[k] * x[k];
  const float times = 1.0f / std::sqrt(squares / static_cast<float>(width) + eps);
  for (int64_t k = 0; k < width; k++) to[k] = x[k] * times * scale[k];
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

// The sum of a register, half by half.
inline float total(Lanes x) {
  typedef float Four __attribute__((vector_size(16)));
  Four sum = {};
  for (int i = 0; i < LANES / 4; i++) sum += reinterpret_cast<const Four*>(&x)[i];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// Some heads, which share their keys, look at all rows of a text.
// query, out: [COUNT, head_dim]; keys: of each row; weights: room for [COUNT, length].
template <int COUNT>
void look(const float* query, const float* const* keys, int64_t length, const Sizes& s,
          float* weights, float* out) {
  float largest[COUNT], sum[COUNT] = {};
  std::fill_n(largest, COUNT, -FLT_MAX);
  for (int64_t t = 0; t < length; t++) {
    Lanes fit[COUNT] = {};
    for (int64_t d = 0; d < s.head_dim; d += LANES) {
      ask_for(keys[t] + s.groups * s.head_dim + d);  // the value, which comes next
      for (int i = 0; i < COUNT; i++)
        fit[i] += lanes(query + i * s.head_dim + d) * lanes(keys[t] + d);
    }
    for (int i = 0; i < COUNT; i++) {
      const float score = total(fit[i]) * s.scale;
      weights[i * length + t] = score;
      largest[i] = std::max(largest[i], score);
    }
  }
  for (int i = 0; i < COUNT; i++) {
    float* own = weights + i * length;
    for (int64_t t = 0; t < length; t++) own[t] = exponential(own[t] - largest[i]);
    for (int64_t t = 0; t < length; t++) sum[i] += own[t];
  }
  for (int64_t d = 0; d < s.head_dim; d += LANES) {
    Lanes mean[COUNT] = {};
    for (int64_t t = 0; t < length; t++) {
      const Lanes value = lanes(keys[t] + s.groups * s.head_dim + d);
      for (int i = 0; i < COUNT; i++) mean[i] += weights[i * length + t] * value;
    }
    for (int i = 0; i < COUNT; i++) lanes(out + i * s.head_dim + d) = mean[i] / sum[i];
  }
}

// What a thread has for itself, kept from token to token.
struct Own {
  explicit Own(int64_t width) : numbers(width), row(numbers.data()) {}
  std::vector<float> numbers;
  float* row;
  std::vector<const float*> keys;
  std::vector<float> weights;
};

// All heads of one group of one token look at the token's text.
void attend(const Sizes& s, const Batch& batch, const float* rows, int64_t n,
            int64_t group, const float* query, float* out, Own& own) {
  const int64_t stride = 2 * s.groups * s.head_dim, length = batch.positions[n] + 1;
  const int64_t* table = batch.tables + batch.owners[n] * batch.pages;
  own.keys.resize(length), own.weights.resize(TOGETHER * length);
  for (int64_t begin = 0, end; begin < length; begin = end, table++) {
    const float* block = rows + *table * s.block * stride + group * s.head_dim;
    end = std::min(length, begin + s.block);
    for (int64_t t = begin; t < end; t++) {
      own.keys[t] = block + (t - begin) * stride;
      for (int64_t d = 0; d < s.head_dim; d += LANES) ask_for(own.keys[t] + d);
    }
  }
  const int64_t heads = s.heads / s.groups;
  for (int64_t head = 0; head < heads; head += TOGETHER) {
    const int64_t at = (group * heads + head) * s.head_dim;
    with_count<TOGETHER>(std::min<int64_t>(TOGETHER, heads - head), [&]<int COUNT>() {
      look<COUNT>(query + at, own.keys.data(), length, s, own.weights.data(), out + at);
    });
  }
}

void gate(const float* gate_up, int64_t middle, float* to) {
  for (int64_t k = 0; k < middle; k++)
    to[k] = gate_up[k] / (1.0f + exponential(-gate_up[k])) * gate_up[middle + k];
}

}  // namespace

extern "C" {

// What a matrix must be laid out for: outputs that stand side by side, and whether it
// may be of bytes.
int sparrow_panel() { return PANEL; }
int sparrow_has_bytes() {
#ifdef __AVX512VNNI__
  return 1;
#else
  return 0;
#endif
}

// out [rows, outputs] = x [rows, width] Wᵀ.
void sparrow_product(const Matrix* m, const float* x, int64_t rows, int threads,
                     float* out) {
  Rows ready(rows, {*m});
#pragma omp parallel num_threads(threads)
  {
#pragma omp for
    for (int64_t n = 0; n < rows; n++) ready.put(*m, n, x + n * m->width);
    ready.times(*m, rows, out);
  }
}

// One new token of each text looks at its past: query [N, heads · head_dim].
void sparrow_attend(const float* rows, const Sizes* sizes, const Batch* batch,
                    int threads, const float* query, float* mixed) {
  const Sizes& s = *sizes;
  const int64_t inner = s.heads * s.head_dim;
#pragma omp parallel num_threads(threads)
  {
    Own own(0);
#pragma omp for schedule(dynamic)
    for (int64_t each = 0; each < batch->tokens * s.groups; each++) {
      const int64_t n = each / s.groups;
      attend(s, *batch, rows, n, each % s.groups, query + n * inner, mixed + n * inner,
             own);
    }
  }
}

// hidden [N, D]: embeddings come in, states after the last norm go out.
void sparrow_step(const Layer* layers, const Sizes* sizes, const Batch* batch,
                  int threads, float* hidden) {
  const Sizes& s = *sizes;
  const int64_t inner = s.heads * s.head_dim;
  const int64_t joined = inner + 2 * s.groups * s.head_dim;
  const int64_t room = std::min(AT_ONCE, batch->tokens);
  std::vector<float> joint(room * joined), mixed(room * inner);
  std::vector<float> gate_up(room * 2 * s.middle);
  Rows ready(room, {layers->joint, layers->out, layers->gate_up, layers->down});
#pragma omp parallel num_threads(threads)
  {
    Own own(std::max(s.width, s.middle));
    for (const Layer* layer = layers; layer < layers + s.layers; layer++)
      for (int64_t first = 0; first < batch->tokens; first += AT_ONCE) {
        const int64_t count = std::min(AT_ONCE, batch->tokens - first);
        float* states = hidden + first * s.width;
#pragma omp for
        for (int64_t n = 0; n < count; n++) {
          norm(states + n * s.width, layer->before_attention, s.eps, s.width, own.row);
          ready.put(layer->joint, n, own.row);
        }
        ready.times(layer->joint, count, joint.data());
#pragma omp for
        for (int64_t n = 0; n < count; n++)
          turn_and_keep(&joint[n * joined], batch->turn + (first + n) * s.head_dim, s,
                        layer->rows +
                            batch->slots[first + n] * 2 * s.groups * s.head_dim);
#pragma omp for schedule(dynamic)
        for (int64_t each = 0; each < count * s.groups; each++) {
          const int64_t n = each / s.groups;
          attend(s, *batch, layer->rows, first + n, each % s.groups, &joint[n * joined],
                 &mixed[n * inner], own);
        }
#pragma omp for
        for (int64_t n = 0; n < count; n++) ready.put(layer->out, n, &mixed[n * inner]);
        ready.times(layer->out, count, states, true);
#pragma omp for
        for (int64_t n = 0; n < count; n++) {
          norm(states + n * s.width, layer->before_feed_forward, s.eps, s.width, own.row);
          ready.put(layer->gate_up, n, own.row);
        }
        ready.times(layer->gate_up, count, gate_up.data());
#pragma omp for
        for (int64_t n = 0; n < count; n++) {
          gate(&gate_up[n * 2 * s.middle], s.middle, own.row);
          ready.put(layer->down, n, own.row);
        }
        ready.times(layer->down, count, states, true);
      }
#pragma omp for
    for (int64_t n = 0; n < batch->tokens; n++) {
      float* state = hidden + n * s.width;
      norm(state, s.last_norm, s.eps, s.width, state);
    }
  }
}

}  // extern "C"
