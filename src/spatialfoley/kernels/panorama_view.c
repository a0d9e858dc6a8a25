/* Perspective views of equirectangular pictures: the arithmetic of spatial/projection.py, without its arrays.
 *
 * Row by row: the directions of the pixels, turned by the camera; where the panorama shows them; the mean of the four
 * pixels around each place. GCC and Clang make vector instructions of it. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#define PI 3.14159265358979f
#define PLACES 6

typedef float lanes __attribute__((vector_size(16)));
typedef uint32_t whole __attribute__((vector_size(16)));
typedef int32_t signed_whole __attribute__((vector_size(16)));
typedef uint8_t bytes __attribute__((vector_size(16)));

struct job {
    const uint8_t *panorama; /* RGB, height rows of width pixels */
    uint8_t *view;           /* RGB, view_height rows of view_width pixels */
    const float *rotation;   /* R_cam, 3 by 3 */
    float *places;           /* PLACES * view_width numbers to work with */
    int64_t height, width, view_height, view_width;
    float tangent;           /* of half the field of view */
    int64_t published;       /* the published offsets instead of pixel centres */
};

/* Arc tangent for 0 <= a <= 1, off by at most 4e-8 (fitted to it on 4000 points). */
static inline float arc(float a)
{
    float s = a * a;
    return a * (9.999993354e-01f + s * (-3.332986013e-01f + s * (1.994655836e-01f + s * (-1.390859391e-01f
           + s * (9.642108294e-02f + s * (-5.591113922e-02f + s * (2.186215311e-02f + s * -4.054349461e-03f)))))));
}

static inline float angle(float y, float x)
{
    float across = fabsf(y), along = fabsf(x);
    float large = across > along ? across : along, small = across > along ? along : across;
    float turn = arc(small / (large > 1e-30f ? large : 1e-30f));
    turn = across > along ? 0.5f * PI - turn : turn;
    turn = x < 0.0f ? PI - turn : turn;
    return y < 0.0f ? -turn : turn;
}

/* Columns and rows, from 0 at the centre of the first pixel, that a row of the view shows. */
static __attribute__((noinline)) void find_places(
    const struct job *job, int64_t row, float *restrict columns, float *restrict rows)
{
    const float *r = job->rotation;
    const float shift = job->published ? 0.0f : 0.5f;
    const float per_pixel = 2.0f * job->tangent / (float)job->view_width;
    const float down = ((float)row + shift - 0.5f * (float)job->view_height) * per_pixel;
    const float x0 = r[0] - r[2] * down, y0 = r[3] - r[5] * down, z0 = r[6] - r[8] * down;
    const float across = (float)job->width / (2.0f * PI), up = (float)job->height / PI;
    const float offset = job->published ? 1.0f : -0.5f;
    const float column0 = 0.5f * (float)job->width + offset, row0 = 0.5f * (float)job->height + offset;
    for (int64_t i = 0; i < job->view_width; i++) {
        float right = ((float)i + shift) * per_pixel - job->tangent;
        float x = x0 - r[1] * right, y = y0 - r[4] * right, z = z0 - r[7] * right;
        columns[i] = column0 - angle(y, x) * across;
        rows[i] = row0 - angle(z, sqrtf(x * x + y * y)) * up;
    }
    if (job->published) {
        const float last_column = (float)(job->width - 1), last_row = (float)(job->height - 1);
        for (int64_t i = 0; i < job->view_width; i++) {
            columns[i] = columns[i] < 1.0f ? 1.0f : columns[i] > last_column ? last_column : columns[i];
            rows[i] = rows[i] < 1.0f ? 1.0f : rows[i] > last_row ? last_row : rows[i];
        }
    }
}

/* Of each place the byte offsets of the four pixels around it, and how far it is from the upper left one. */
static __attribute__((noinline)) void find_pixels(
    int64_t count, int32_t width, int32_t height, int32_t wraps, float *restrict columns, float *restrict rows,
    int32_t *restrict a, int32_t *restrict b, int32_t *restrict c, int32_t *restrict d)
{
    /* A column beyond an edge is at the other edge; the published views stop there. */
    const int32_t back = wraps ? width : 1;
    for (int64_t i = 0; i < count; i++) {
        const float left = floorf(columns[i]), top = floorf(rows[i]);
        const int32_t column = (int32_t)left, row = (int32_t)top;
        const int32_t c0 = column < 0 ? column + width : column, c1 = column + 1;
        const int32_t left_bytes = 3 * (c0 >= width ? c0 - back : c0);
        const int32_t right_bytes = 3 * (c1 >= width ? c1 - back : c1);
        const int32_t r0 = row < 0 ? 0 : row, r1 = row + 1;
        const int32_t upper = 3 * width * (r0 >= height ? height - 1 : r0);
        const int32_t lower = 3 * width * (r1 >= height ? height - 1 : r1);
        a[i] = upper + left_bytes;
        b[i] = upper + right_bytes;
        c[i] = lower + left_bytes;
        d[i] = lower + right_bytes;
        columns[i] -= left;
        rows[i] -= top;
    }
}

/* The pixel at an offset as red, green, blue and a fourth number without meaning. Four bytes are read at once; the
 * last pixel of a picture has none behind it and is read one byte earlier. */
static inline lanes pixel(const uint8_t *picture, int32_t offset, int32_t last)
{
    uint32_t four;
    if (__builtin_expect(offset == last, 0)) {
        memcpy(&four, picture + offset - 1, 4);
        four >>= 8;
    } else {
        memcpy(&four, picture + offset, 4);
    }
    const whole split = ((whole){four, four, four, four} >> (whole){0, 8, 16, 24}) & 255;
    return __builtin_convertvector((signed_whole)split, lanes);
}

/* Red, green and blue of a pixel of the view, rounded. */
static inline uint32_t mean(const uint8_t *picture, int32_t last, int32_t a, int32_t b, int32_t c, int32_t d,
                            float fx, float fy)
{
    const lanes upper_left = pixel(picture, a, last), lower_left = pixel(picture, c, last);
    const lanes above = upper_left + (pixel(picture, b, last) - upper_left) * fx;
    const lanes below = lower_left + (pixel(picture, d, last) - lower_left) * fx;
    const bytes levels = (bytes)__builtin_convertvector(above + (below - above) * fy + 0.5f, signed_whole);
    const bytes packed = __builtin_shuffle(levels, (bytes){0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12});
    return ((whole)packed)[0];
}

static __attribute__((noinline)) void sample_row(
    const struct job *job, const float *restrict fx, const float *restrict fy, const int32_t *restrict a,
    const int32_t *restrict b, const int32_t *restrict c, const int32_t *restrict d, uint8_t *restrict out)
{
    const uint8_t *picture = job->panorama;
    const int32_t last = (int32_t)(3 * (job->width * job->height - 1));
    const int64_t end = job->view_width - 1;
    for (int64_t i = 0; i < end; i++) {
        /* Four bytes are written at once; the next pixel goes over the fourth. */
        const uint32_t rgb = mean(picture, last, a[i], b[i], c[i], d[i], fx[i], fy[i]);
        memcpy(out + 3 * i, &rgb, 4);
    }
    const uint32_t rgb = mean(picture, last, a[end], b[end], c[end], d[end], fx[end], fy[end]);
    memcpy(out + 3 * end, &rgb, 3);
}

void show(const struct job *job)
{
    const int64_t width = job->view_width;
    float *columns = job->places, *rows = columns + width;
    int32_t *offsets = (int32_t *)(rows + width);
    int32_t *a = offsets, *b = a + width, *c = b + width, *d = c + width;
    for (int64_t row = 0; row < job->view_height; row++) {
        find_places(job, row, columns, rows);
        find_pixels(width, (int32_t)job->width, (int32_t)job->height, !job->published, columns, rows, a, b, c, d);
        sample_row(job, columns, rows, a, b, c, d, job->view + 3 * row * width);
    }
}
