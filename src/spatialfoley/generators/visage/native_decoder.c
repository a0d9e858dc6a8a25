/* One step of the ViSAGe decoder: every layer for a few rows, with one query per row.
 *
 * Compiled on first use by native.py, once per type of the weights (WEIGHT_IS_HALF or not), for the machine it
 * runs on. Single precision sums throughout. A weight matrix (outputs, inputs) is laid out in blocks of BLOCK
 * outputs, inputs outermost inside a block, so that a product is one sequential read of the memory; all rows of
 * a batch are computed while a block is in the cache. No function allocates or keeps state.
 */
#include <stddef.h>
#include <stdint.h>
#if defined(__AVX512F__) || defined(__F16C__)
#include <immintrin.h>
#endif

/* Numbers in one register, and rows whose sums of one block fit the registers together. */
#if defined(__AVX512F__)
#define LANES 16
#define MAX_ROWS 8
#elif defined(__AVX__)
#define LANES 8
#define MAX_ROWS 3
#elif defined(__aarch64__)
#define LANES 4
#define MAX_ROWS 3
#else
#define LANES 4
#define MAX_ROWS 1
#endif
#define BLOCK 32
#define VECTORS (BLOCK / LANES)
#define PREFETCH_BYTES 4096
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));

#ifdef WEIGHT_IS_HALF
#if !defined(__F16C__) && !defined(__aarch64__)
#error "this processor does not read half precision"
#endif
typedef _Float16 weight;
INLINE vec load_weights(const weight *from) {
#if defined(__AVX512F__)
    return (vec)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from));
#elif defined(__AVX__) && defined(__F16C__)
    return (vec)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from));
#else
    vec all;
    for (int i = 0; i < LANES; i++) all[i] = (float)from[i];
    return all;
#endif
}
#else
typedef float weight;
INLINE vec load_weights(const weight *from) { return *(const vec *)from; }
#endif

INLINE vec load(const float *from) { return *(const vec *)from; }
INLINE void store(float *to, vec value) { *(vec *)to = value; }
INLINE vec all(float value) { return (vec){} + value; }

INLINE vec choose(ivec condition, vec yes, vec no) { return (vec)((condition & (ivec)yes) | (~condition & (ivec)no)); }

INLINE float sum(vec value) {
    float total[LANES];
    store(total, value);
    UNROLL for (int half = LANES / 2; half; half /= 2)
        UNROLL for (int i = 0; i < half; i++) total[i] += total[i + half];
    return total[0];
}

/* e^x for x <= 0, to 2 units in the last place: 2^n times a polynomial in the rest. */
INLINE vec exp_negative(vec x) {
    x = choose(x < -87.0f, all(-87.0f), x);
    ivec power = __builtin_convertvector(x * 1.44269504f - 0.5f, ivec);
    vec n = __builtin_convertvector(power, vec);
    vec rest = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    vec series = all(1.9875691500e-4f);
    series = series * rest + 1.3981999507e-3f;
    series = series * rest + 8.3334519073e-3f;
    series = series * rest + 4.1665795894e-2f;
    series = series * rest + 1.6666665459e-1f;
    series = series * rest + 5.0000001201e-1f;
    series = series * rest * rest + rest + 1.0f;
    return series * (vec)((power + 127) << 23);
}

/* x times the normal distribution function of x; erf by Abramowitz and Stegun 7.1.26 (error 1.5e-7). */
INLINE vec gelu(vec x) {
    vec z = choose(x < 0.0f, -x, x) * 0.70710678f;
    vec t = 1.0f / (1.0f + 0.3275911f * z);
    vec series = all(1.061405429f);
    series = series * t - 1.453152027f;
    series = series * t + 1.421413741f;
    series = series * t - 0.284496736f;
    series = series * t + 0.254829592f;
    vec half_tail = 0.5f * series * t * exp_negative(-z * z);
    return x * choose(x < 0.0f, half_tail, 1.0f - half_tail);
}

INLINE void block_product(const int rows, const weight *weights, const float *bias, const float *x, size_t inputs,
                          float *y, size_t outputs) {
    vec sums[8][VECTORS];
    UNROLL for (int row = 0; row < rows; row++)
        UNROLL for (int part = 0; part < VECTORS; part++) sums[row][part] = load(bias + part * LANES);
    for (size_t input = 0; input < inputs; input++, weights += BLOCK) {
        UNROLL for (size_t line = 0; line < BLOCK * sizeof(weight); line += 64)
            __builtin_prefetch((const char *)weights + PREFETCH_BYTES + line);
        UNROLL for (int part = 0; part < VECTORS; part++) {
            vec column = load_weights(weights + part * LANES);
            UNROLL for (int row = 0; row < rows; row++) sums[row][part] += column * x[row * inputs + input];
        }
    }
    UNROLL for (int row = 0; row < rows; row++)
        UNROLL for (int part = 0; part < VECTORS; part++) store(y + row * outputs + part * LANES, sums[row][part]);
}

/* y (rows, outputs) = x (rows, inputs) times the weights, plus bias; outputs is a multiple of BLOCK. */
void product(const weight *weights, const float *bias, const float *x, float *y, int64_t rows, int64_t inputs,
             int64_t outputs) {
    for (int64_t first = 0; first < outputs; first += BLOCK) {
        const weight *block = weights + first * inputs;
        for (int64_t row = 0; row < rows; row += MAX_ROWS) {
            const float *from = x + row * inputs;
            float *to = y + row * outputs + first;
            switch (rows - row < MAX_ROWS ? rows - row : MAX_ROWS) {
            case 1: block_product(1, block, bias + first, from, inputs, to, outputs); break;
            case 2: block_product(2, block, bias + first, from, inputs, to, outputs); break;
            case 3: block_product(3, block, bias + first, from, inputs, to, outputs); break;
            case 4: block_product(4, block, bias + first, from, inputs, to, outputs); break;
            case 5: block_product(5, block, bias + first, from, inputs, to, outputs); break;
            case 6: block_product(6, block, bias + first, from, inputs, to, outputs); break;
            case 7: block_product(7, block, bias + first, from, inputs, to, outputs); break;
            default: block_product(8, block, bias + first, from, inputs, to, outputs); break;
            }
        }
    }
}

/* x (rows, width) = norm(x + added) */
static void add_and_norm(float *x, const float *added, const float *gain, const float *offset, int64_t rows,
                         int64_t width) {
    for (int64_t row = 0; row < rows; row++, x += width, added += width) {
        vec total = {}, squares = {};
        for (int64_t i = 0; i < width; i += LANES) {
            vec value = load(x + i) + load(added + i);
            store(x + i, value);
            total += value;
        }
        float mean = sum(total) / width;
        for (int64_t i = 0; i < width; i += LANES) {
            vec value = load(x + i) - mean;
            squares += value * value;
        }
        float scale = 1.0f / __builtin_sqrtf(sum(squares) / width + 1e-5f);
        for (int64_t i = 0; i < width; i += LANES)
            store(x + i, (load(x + i) - mean) * scale * load(gain + i) + load(offset + i));
    }
}

/* One query of one head over `count` keys and values (count, size); scores has room for count + LANES numbers. */
static void attend(const float *query, const weight *keys, const weight *values, int64_t count, int64_t size,
                   float *scores, float *mixed) {
    float factor = 1.0f / __builtin_sqrtf((float)size), largest = -3.0e38f;
    for (int64_t i = 0; i < count; i++) {
        vec products = {};
        for (int64_t j = 0; j < size; j += LANES) {
            __builtin_prefetch((const char *)(keys + i * size + j) + PREFETCH_BYTES);
            products += load_weights(keys + i * size + j) * load(query + j);
        }
        scores[i] = sum(products) * factor;
        largest = scores[i] > largest ? scores[i] : largest;
    }
    for (int64_t i = count; i < count + LANES; i++) scores[i] = -3.0e38f;
    vec total = {};
    for (int64_t i = 0; i < count; i += LANES) {
        vec shares = exp_negative(load(scores + i) - largest);
        store(scores + i, shares);
        total += shares;
    }
    float scale = 1.0f / sum(total);
    for (int64_t j = 0; j < size; j += LANES) store(mixed + j, (vec){});
    for (int64_t j = 0; j < size; j += 4 * LANES) {
        int64_t parts = (size - j) / LANES < 4 ? (size - j) / LANES : 4;
        vec sums[4] = {};
        for (int64_t i = 0; i < count; i++) {
            const weight *value = values + i * size + j;
            __builtin_prefetch((const char *)value + PREFETCH_BYTES);
            if (parts == 4)
                UNROLL for (int part = 0; part < 4; part++) sums[part] += load_weights(value + part * LANES) * scores[i];
            else
                for (int64_t part = 0; part < parts; part++) sums[part] += load_weights(value + part * LANES) * scores[i];
        }
        for (int64_t part = 0; part < parts; part++) store(mixed + j + part * LANES, sums[part] * scale);
    }
}

typedef struct {
    int64_t rows, width, heads, inner, capacity, context;
} sizes;

typedef struct {
    const weight *query_key_value, *out, *cross_query, *cross_out, *fc1, *fc2;
    const float *query_key_value_bias, *out_bias, *cross_query_bias, *cross_out_bias, *fc1_bias, *fc2_bias;
    const float *gains[3], *offsets[3];
    weight *keys, *values;                    /* (rows, heads, capacity, size), written here */
    const weight *cross_keys, *cross_values; /* (rows, heads, context, size) */
} layer;

static void decoder_layer(const sizes *s, const layer *l, int64_t position, float *x, float *work) {
    int64_t rows = s->rows, width = s->width, size = width / s->heads;
    float *projected = work, *mixed = projected + 3 * rows * width, *added = mixed + rows * width;
    float *inner = added + rows * width, *scores = inner + rows * s->inner;
    product(l->query_key_value, l->query_key_value_bias, x, projected, rows, width, 3 * width);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t head = 0; head < s->heads; head++) {
            const float *query = projected + 3 * row * width + head * size;
            int64_t past = (row * s->heads + head) * s->capacity * size;
            for (int64_t i = 0; i < size; i++) {
                l->keys[past + position * size + i] = (weight)query[width + i];
                l->values[past + position * size + i] = (weight)query[2 * width + i];
            }
            attend(query, l->keys + past, l->values + past, position + 1, size, scores,
                   mixed + row * width + head * size);
        }
    product(l->out, l->out_bias, mixed, added, rows, width, width);
    add_and_norm(x, added, l->gains[0], l->offsets[0], rows, width);
    product(l->cross_query, l->cross_query_bias, x, projected, rows, width, width);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t head = 0; head < s->heads; head++) {
            int64_t offset = row * width + head * size;
            attend(projected + offset, l->cross_keys + offset * s->context, l->cross_values + offset * s->context,
                   s->context, size, scores, mixed + offset);
        }
    product(l->cross_out, l->cross_out_bias, mixed, added, rows, width, width);
    add_and_norm(x, added, l->gains[1], l->offsets[1], rows, width);
    product(l->fc1, l->fc1_bias, x, inner, rows, width, s->inner);
    for (int64_t i = 0; i < rows * s->inner; i += LANES) store(inner + i, gelu(load(inner + i)));
    product(l->fc2, l->fc2_bias, inner, added, rows, s->inner, width);
    add_and_norm(x, added, l->gains[2], l->offsets[2], rows, width);
}

/* All layers for the row at `position`; x (rows, width) is replaced.
 * work has room for rows * (5 * width + inner) + max(capacity, context) + LANES numbers. */
void decoder_step(const sizes *s, const layer *layers, int64_t count, int64_t position, float *x, float *work) {
    for (int64_t i = 0; i < count; i++) decoder_layer(s, layers + i, position, x, work);
}
