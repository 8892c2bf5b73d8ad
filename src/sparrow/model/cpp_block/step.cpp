// A block with latent attention, forward and backward: `Block` in one call each.
//
// A thread takes some texts through the block by itself: what one step hands to the next
// stays near the processor, and nobody waits. Which texts a part has depends on nothing
// but the number of parts, and sums of parts are added in their order: so the same call
// gives the same numbers to the last bit.

#include "attention.h"
#include "block.h"
#include "experts.h"
#include "head.h"
#include "parts.h"

namespace {

// Tokens that go through a half of a block together: attention's matrices are few, so
// that its numbers may stay near; experts' are many, and each is read once.
constexpr int64_t LOOKING = 256, FEEDING = 1024;

int64_t sizes_of(const Sizes& s, int64_t (&sizes)[MATRICES]) {
  const int64_t routed = s.experts * s.inner * s.width, all = s.for_all * s.width;
  const int64_t each[MATRICES] = {s.width,
                                  s.queries() * s.width,
                                  (s.rank + s.turned) * s.width,
                                  s.rank,
                                  s.pairs() * s.rank,
                                  s.width * s.values(),
                                  s.width,
                                  s.experts * s.width,
                                  2 * routed,
                                  routed,
                                  all,
                                  all,
                                  all};
  std::copy(each, each + MATRICES, sizes);
  int64_t sum = 0;
  for (const int64_t size : each) sum += size;
  return sum;
}

// The matrices in one piece of memory, one after the other.
Weights apart(const Sizes& s, float* all) {
  int64_t sizes[MATRICES];
  sizes_of(s, sizes);
  float* each[MATRICES];
  for (int i = 0; i < MATRICES; all += sizes[i++]) each[i] = all;
  return {each[0], each[1], each[2], each[3],  each[4],  each[5], each[6],
          each[7], each[8], each[9], each[10], each[11], each[12]};
}

Kept keep(const Sizes& s, float* all) {
  const int64_t tokens = s.texts * s.tokens;
  const auto next = [&all, tokens](int64_t wide) {
    float* own = all;
    all += tokens * wide;
    return own;
  };
  return {next(1),         next(1),
          next(1),         next(s.joint()),
          next(s.pairs()), next(2 * s.heads),
          next(s.values()), next(s.width),
          next(s.chosen * 2 * s.inner), next(2 * s.for_all),
          next(s.chosen)};
}

// Turn all matrices over. Those that read the same vector become one.
int64_t turned_size(const Sizes& s) {
  return s.width * (s.joint() + s.values() + s.logits() + 3 * s.experts * s.inner +
                    3 * s.for_all) +
         s.rank * s.pairs();
}

struct Turning {
  const float* from;
  int64_t rows, wide;
  To to;
};

Weights turn_weights(const Sizes& s, const Weights& w, float* all, int threads) {
  std::vector<Turning> work;
  const auto next = [&all](int64_t size) {
    float* own = all;
    all += size;
    return own;
  };
  Weights to{};
  to.query = next(s.width * s.joint());
  work.push_back({w.query, s.queries(), s.width, {to.query, s.joint()}});
  work.push_back(
      {w.down, s.rank + s.turned, s.width, {to.query + s.queries(), s.joint()}});
  to.up = next(s.rank * s.pairs());
  work.push_back({w.up, s.pairs(), s.rank, {to.up, s.pairs()}});
  to.out = next(s.width * s.values());
  work.push_back({w.out, s.width, s.values(), {to.out, s.width}});
  to.gate = next(s.width * s.logits());
  if (s.experts) {
    std::fill(to.gate, all, 0.0f);
    work.push_back({w.gate, s.experts, s.width, {to.gate, s.logits()}});
  }
  to.gate_up = next(s.experts * 2 * s.inner * s.width);
  to.experts_down = next(s.experts * s.inner * s.width);
  for (int64_t e = 0; e < s.experts; e++) {
    const int64_t size = s.inner * s.width;
    work.push_back({w.gate_up + e * 2 * size, 2 * s.inner, s.width,
                    {to.gate_up + e * 2 * size, 2 * s.inner}});
    work.push_back({w.experts_down + e * size, s.width, s.inner,
                    {to.experts_down + e * size, s.width}});
  }
  to.all_gate = next(2 * s.for_all * s.width);
  to.all_down = next(s.for_all * s.width);
  work.push_back({w.all_gate, s.for_all, s.width, {to.all_gate, 2 * s.for_all}});
  work.push_back(
      {w.all_up, s.for_all, s.width, {to.all_gate + s.for_all, 2 * s.for_all}});
  work.push_back({w.all_down, s.width, s.for_all, {to.all_down, s.width}});
  const int64_t pieces = work.size();
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (int64_t i = 0; i < pieces; i++)
    turn_over(work[i].rows, work[i].wide, {work[i].from, work[i].wide}, work[i].to);
  return to;
}

struct Angles {
  const float *cos, *sin;
};

Angles angles(const Call& call, const Chunk& c, int64_t n) {
  const Sizes& s = call.s;
  const int64_t token = s.has_own_turn ? c.begin + n : n % s.tokens;
  return {call.cos + token * s.turned / 2, call.sin + token * s.turned / 2};
}

// Turn a token's queries, which take the scale along, and its key, to or fro.
void turn_joint(const Call& call, const Chunk& c, int64_t n, float direction,
                float* joint) {
  const Sizes& s = call.s;
  const Angles at = angles(call, c, n);
  for (int64_t head = 0; head < s.heads; head++) {
    float* query = joint + head * s.query();
    for (int64_t i = 0; i < s.nope; i++) query[i] *= s.scale;
    turn(query + s.nope, at.cos, at.sin, direction, s.turned, s.scale);
  }
  turn(joint + s.queries() + s.rank, at.cos, at.sin, direction, s.turned, 1.0f);
}

// From hidden to kept.middle.
void attend(const Call& call, const Chunk& c, Room& room) {
  const Sizes& s = call.s;
  const Weights &w = call.weights, &turned = call.turned;
  const Kept& k = call.kept;
  room.x.take(c.rows, s.width), room.latent.take(c.rows, s.rank);
  const To joint = {k.joint + c.begin * s.joint(), s.joint()};
  const To pairs = {k.pairs + c.begin * s.pairs(), s.pairs()};
  const To mixed = {k.mixed + c.begin * s.values(), s.values()};
  const To middle = {k.middle + c.begin * s.width, s.width};
  const float* hidden = call.hidden + c.begin * s.width;
  for (int64_t n = 0; n < c.rows; n++)
    k.first[c.begin + n] = norm(hidden + n * s.width, w.norm, s.width, s.eps, room.x[n]);
  product(c.rows, s.joint(), s.width, room.x.all(), {turned.query, s.joint()}, joint);
  for (int64_t n = 0; n < c.rows; n++) {
    float* own = joint.at + n * joint.step;
    turn_joint(call, c, n, 1.0f, own);
    k.latent[c.begin + n] =
        norm(own + s.queries(), w.latent_norm, s.rank, s.latent_eps, room.latent[n]);
  }
  product(c.rows, s.pairs(), s.rank, room.latent.all(), {turned.up, s.pairs()}, pairs);
  for (int64_t text = 0; text < c.texts; text++)
    for (int64_t head = 0; head < s.heads; head++) {
      const int64_t at = text * s.tokens;
      look(head_of(call, c.text + text, head, room),
           {mixed.at + at * mixed.step + head * s.value, mixed.step},
           {k.opens + 2 * ((c.begin + at) * s.heads + head), 2 * s.heads}, room);
    }
  std::copy(hidden, hidden + c.rows * s.width, middle.at);
  product(c.rows, s.width, s.values(), {mixed.at, mixed.step}, {turned.out, s.width},
          middle, true);
}

// From kept.middle to out.
void feed(const Call& call, const Chunk& c, Room& room) {
  const Sizes& s = call.s;
  const float* middle = call.kept.middle + c.begin * s.width;
  const To out = {call.out + c.begin * s.width, s.width};
  room.x.take(c.rows, s.width);
  for (int64_t n = 0; n < c.rows; n++)
    call.kept.second[c.begin + n] = norm(middle + n * s.width, call.weights.middle_norm,
                                         s.width, s.eps, room.x[n]);
  std::copy(middle, middle + c.rows * s.width, out.at);
  if (s.experts) ask_experts(call, c, out, room);
  if (s.for_all)
    ask(turned_for_all(s, call.turned), {c.rows, s.width, s.for_all, nullptr, 1},
        room.x.all(), call.kept.all + c.begin * 2 * s.for_all, nullptr, out, room);
}

// The second half backwards: to_hidden = what the middle feels of `felt`.
void feed_back(const Call& call, const Chunk& c, const float* felt,
               const float* felt_scores, const Weights& to, float* to_hidden,
               Room& room) {
  const Sizes& s = call.s;
  const From own = {felt + c.begin * s.width, s.width};
  const float* middle = call.kept.middle + c.begin * s.width;
  room.x.take(c.rows, s.width);
  for (int64_t n = 0; n < c.rows; n++)
    scaled(middle + n * s.width, call.weights.middle_norm, call.kept.second[c.begin + n],
           s.width, room.x[n]);
  const To x = room.middle.take(c.rows, s.width);
  std::fill(x.at, x.at + c.rows * x.step, 0.0f);
  if (s.for_all)
    ask_back(for_all(s, call.weights), for_all(s, to),
             {c.rows, s.width, s.for_all, nullptr, 1}, room.x.all(),
             call.kept.all + c.begin * 2 * s.for_all, own, nullptr, nullptr, x, c.is_first,
             room);
  if (s.experts) ask_experts_back(call, c, own, felt_scores, to, x, room);
  for (int64_t n = 0; n < c.rows; n++)
    norm_back(middle + n * s.width, call.weights.middle_norm,
              call.kept.second[c.begin + n], room.middle[n], own.at + n * s.width,
              s.width, to_hidden + (c.begin + n) * s.width, to.middle_norm);
}

// Attention backwards, from room.mixed to room.joint and room.pairs.
void look_back_all(const Call& call, const Chunk& c, Room& room) {
  const Sizes& s = call.s;
  const To joint = room.joint.take(c.rows, s.joint());
  const To pairs = room.pairs.take(c.rows, s.pairs());
  std::fill(joint.at, joint.at + c.rows * joint.step, 0.0f);
  std::fill(pairs.at, pairs.at + c.rows * pairs.step, 0.0f);
  for (int64_t text = 0; text < c.texts; text++)
    for (int64_t head = 0; head < s.heads; head++) {
      const int64_t at = text * s.tokens, token = c.begin + at;
      float *own_joint = room.joint[at], *own_pair = room.pairs[at];
      look_back(head_of(call, c.text + text, head, room),
                {call.kept.mixed + token * s.values() + head * s.value, s.values()},
                {call.kept.opens + 2 * (token * s.heads + head), 2 * s.heads},
                {room.mixed[at] + head * s.value, room.mixed.at.step},
                {own_joint + head * s.query(), joint.step},
                {own_pair + head * s.pair(), pairs.step},
                {own_joint + s.queries() + s.rank, joint.step}, room);
    }
}

// The first half backwards: to_hidden = what hidden feels of it.
void attend_back(const Call& call, const Chunk& c, const Weights& to, float* to_hidden,
                 Room& room) {
  const Sizes& s = call.s;
  const Weights& w = call.weights;
  const Kept& k = call.kept;
  const float* hidden = call.hidden + c.begin * s.width;
  const From found = {k.mixed + c.begin * s.values(), s.values()};
  const From felt = {to_hidden + c.begin * s.width, s.width};
  turned_product(s.width, s.values(), c.rows, felt, found, {to.out, s.values()});
  product(c.rows, s.values(), s.width, felt, {w.out, s.values()},
          room.mixed.take(c.rows, s.values()));
  look_back_all(call, c, room);
  const To latent = room.latent.take(c.rows, s.rank);
  room.x.take(c.rows, s.width), room.answers.take(c.rows, s.rank);
  for (int64_t n = 0; n < c.rows; n++)
    scaled(k.joint + (c.begin + n) * s.joint() + s.queries(), w.latent_norm,
           k.latent[c.begin + n], s.rank, latent.at + n * latent.step);
  turned_product(s.pairs(), s.rank, c.rows, room.pairs.all(), room.latent.all(),
                 {to.up, s.rank});
  product(c.rows, s.rank, s.pairs(), room.pairs.all(), {w.up, s.rank},
          room.answers.at);
  for (int64_t n = 0; n < c.rows; n++) {
    float* own = room.joint[n];
    norm_back(k.joint + (c.begin + n) * s.joint() + s.queries(), w.latent_norm,
              k.latent[c.begin + n], room.answers[n], nullptr, s.rank,
              own + s.queries(), to.latent_norm);
    turn_joint(call, c, n, -1.0f, own);
    scaled(hidden + n * s.width, w.norm, k.first[c.begin + n], s.width, room.x[n]);
  }
  const int64_t down = s.rank + s.turned;
  turned_product(s.queries(), s.width, c.rows, room.joint.all(), room.x.all(),
                 {to.query, s.width});
  turned_product(down, s.width, c.rows, room.joint.from(s.queries()), room.x.all(),
                 {to.down, s.width});
  const To x = room.answers.take(c.rows, s.width);
  product(c.rows, s.width, s.queries(), room.joint.all(), {w.query, s.width}, x);
  product(c.rows, s.width, down, room.joint.from(s.queries()), {w.down, s.width}, x,
          true);
  for (int64_t n = 0; n < c.rows; n++)
    norm_back(hidden + n * s.width, w.norm, k.first[c.begin + n], room.answers[n],
              felt.at + n * s.width, s.width, to_hidden + (c.begin + n) * s.width,
              to.norm);
}

// Give part `part` of `parts` its texts, about `tokens` tokens at a time.
template <typename Work>
void share(const Sizes& s, int64_t part, int64_t parts, int64_t tokens, Work work) {
  const int64_t begin = s.texts * part / parts, end = s.texts * (part + 1) / parts;
  const int64_t most = std::max<int64_t>(1, tokens / s.tokens);
  for (int64_t text = begin, texts; text < end; text += texts) {
    texts = std::min(most, end - text);
    work(Chunk{text, texts, text * s.tokens, texts * s.tokens, text == begin});
  }
}

Room& room() {
  static thread_local Room own;
  return own;
}

}  // namespace

extern "C" int64_t sparrow_block_kept(const Sizes* sizes) {
  const Sizes& s = *sizes;
  return s.texts * s.tokens *
         (3 + s.joint() + s.pairs() + 2 * s.heads + s.values() + s.width +
          s.chosen * (2 * s.inner + 1) + 2 * s.for_all);
}

extern "C" int64_t sparrow_block_weights(const Sizes* sizes) {
  int64_t each[MATRICES];
  return sizes_of(*sizes, each);
}

// Find in a mask [rows, tokens, tokens] the first place that each query may look at.
// Returns whether each looks at all places from there to its own, and never further back
// than the one before it.
extern "C" int sparrow_block_windows(const uint8_t* mask, int64_t rows, int64_t tokens,
                                     int64_t* firsts) {
  for (int64_t row = 0; row < rows; row++)
    for (int64_t t = 0; t < tokens; t++, mask += tokens, firsts++) {
      const auto* found = static_cast<const uint8_t*>(std::memchr(mask, 1, t + 1));
      if (!found) return 0;
      *firsts = found - mask;
      if (t > 0 && firsts[-1] > *firsts) return 0;
      if (std::memchr(found, 0, mask + t + 1 - found)) return 0;
      if (std::memchr(mask + t + 1, 1, tokens - t - 1)) return 0;
    }
  return 1;
}

extern "C" void sparrow_block_forward(Call* call, float* kept, int threads) {
  static thread_local Buffer turned;
  const Sizes& s = call->s;
  call->kept = keep(s, kept);
  call->turned =
      turn_weights(s, call->weights, turned.take(turned_size(s)), threads);
#pragma omp parallel for schedule(static, 1) num_threads(threads)
  for (int64_t part = 0; part < threads; part++) {
    share(s, part, threads, LOOKING, [&](const Chunk& c) { attend(*call, c, room()); });
    share(s, part, threads, FEEDING, [&](const Chunk& c) { feed(*call, c, room()); });
  }
}

// felt: what `out` feels; felt_scores: what the scores feel, or none; to_hidden,
// to_weights: what hidden and weights feel; rest: room for the sums of all parts but one.
extern "C" void sparrow_block_backward(Call* call, float* kept, const float* felt,
                                       const float* felt_scores, float* to_hidden,
                                       float* to_weights, float* rest, int threads) {
  const Sizes& s = call->s;
  const int64_t size = sparrow_block_weights(&s);
  call->kept = keep(s, kept);
#pragma omp parallel for schedule(static, 1) num_threads(threads)
  for (int64_t part = 0; part < threads; part++) {
    float* own = part ? rest + (part - 1) * size : to_weights;
    const Weights to = apart(s, own);
    std::fill(own, to.gate_up, 0.0f);  // those behind are set by the first chunk
    share(s, part, threads, FEEDING, [&](const Chunk& c) {
      feed_back(*call, c, felt, felt_scores, to, to_hidden, room());
    });
    share(s, part, threads, LOOKING,
          [&](const Chunk& c) { attend_back(*call, c, to, to_hidden, room()); });
  }
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t i = 0; i < size; i++)
    for (int64_t part = 1; part < threads; part++)
      to_weights[i] += rest[(part - 1) * size + i];
}

// RMSNorm alone. x: [rows, size]; times: [rows], kept for the way back.
extern "C" void sparrow_norm_forward(const float* x, const float* scale, int64_t rows,
                                     int64_t size, float eps, float* out, float* times,
                                     int threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t n = 0; n < rows; n++)
    times[n] = norm(x + n * size, scale, size, eps, out + n * size);
}

// to_scale: [threads, size], of which the first becomes the sum.
extern "C" void sparrow_norm_backward(const float* x, const float* scale,
                                      const float* times, const float* felt,
                                      int64_t rows, int64_t size, float* to_x,
                                      float* to_scale, int threads) {
#pragma omp parallel for schedule(static, 1) num_threads(threads)
  for (int64_t part = 0; part < threads; part++) {
    float* own = to_scale + part * size;
    std::fill(own, own + size, 0.0f);
    for (int64_t n = rows * part / threads; n < rows * (part + 1) / threads; n++)
      norm_back(x + n * size, scale, times[n], felt + n * size, nullptr, size,
                to_x + n * size, own);
  }
  for (int64_t part = 1; part < threads; part++)
    add(to_scale + part * size, to_scale, size);
}

// The surprise at all targets, in sum, and what hidden and weight feel of it.
// turned: room for the transposed weight; rest: as in sparrow_block_backward.
extern "C" double sparrow_surprise(const float* hidden, const float* weight,
                                   const int64_t* targets, int64_t rows, int64_t width,
                                   int64_t words, float* turned, float* to_hidden,
                                   float* to_weight, float* rest, int threads) {
  const Heard heard = {hidden, weight, turned, targets, width, words, to_hidden};
  const int64_t size = words * width;
  std::vector<double> sums(threads);
  turn_over(words, width, {weight, width}, {turned, words});
#pragma omp parallel for schedule(static, 1) num_threads(threads)
  for (int64_t part = 0; part < threads; part++) {
    static thread_local Buffer scores;
    float* own = part ? rest + (part - 1) * size : to_weight;
    std::fill(own, own + size, 0.0f);
    sums[part] =
        hear(heard, rows * part / threads, rows * (part + 1) / threads, own, scores);
  }
  for (int64_t part = 1; part < threads; part++) {
    add(rest + (part - 1) * size, to_weight, size);
    sums[0] += sums[part];
  }
  return sums[0];
}
