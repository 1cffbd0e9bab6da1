#include "open.h"

static struct span take(const uint8_t **cursor, uint32_t length)
{
    struct span s = {*cursor, length};
    *cursor += length;
    return s;
}

static uint32_t fields_length(const uint8_t *table, uint16_t count)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < 2u * count; i++)
        sum += load16(table + 2 * i);
    return sum;
}

bool open_parse(struct open *o, const uint8_t *frame)
{
    struct frame header = frame_read(frame);
    o->stream = header.stream;
    o->complete = header.flags & FLAG_END_STREAM;
    o->kind = frame[20];
    o->version = frame[21];
    o->secure = frame[22] == 1;
    o->id = load64(frame + 24);
    o->content_length = load64(frame + 32);
    o->field_count = load16(frame + 44);
    o->credit = load32(frame + 48);
    o->client = (struct endpoint_address){frame[52], load16(frame + 54), frame + 64};
    o->target = load16(frame + 58);
    o->server = (struct endpoint_address){frame[53], load16(frame + 56), frame + 80};
    o->table = frame + OPEN_SIZE;
    if (header.size < OPEN_SIZE + 4u * o->field_count)
        return false;
    const uint8_t *cursor = o->table + 4u * o->field_count;
    o->method = take(&cursor, frame[23]);
    o->path = take(&cursor, load16(frame + 40));
    o->query = take(&cursor, load16(frame + 42));
    o->fields = take(&cursor, fields_length(o->table, o->field_count));
    o->extra = take(&cursor, load16(frame + 46));
    o->body = take(&cursor, header.length);
    return (uint64_t)(cursor - frame) <= header.size;
}

struct span open_extra(const struct open *o, uint16_t tag)
{
    const uint8_t *p = o->extra.start, *end = p + o->extra.length;
    while (end - p >= 4 && end - p - 4 >= load16(p + 2)) {
        if (load16(p) == tag)
            return (struct span){p + 4, load16(p + 2)};
        p += 4 + load16(p + 2);
    }
    return (struct span){p, 0};
}

bool open_variable(struct span *rows, struct span *name, struct span *value)
{
    if (rows->length < 4)
        return false;
    const uint8_t *cursor = rows->start + 4;
    *name = take(&cursor, load16(rows->start));
    *value = take(&cursor, load16(rows->start + 2));
    uint32_t size = 4 + name->length + value->length;
    if (size > rows->length)
        return false;
    *rows = (struct span){rows->start + size, rows->length - size};
    return true;
}
