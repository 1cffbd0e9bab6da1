/* The frames of a WSGI response. */
#include "call.h"

#include <errno.h>

/* What is being sent: the head if it is due, body bytes, the end. */
struct output {
    Call *call;
    const uint8_t *body;
    Py_ssize_t length, offset;
    const struct file_part *file; /* the rest of the body, or NULL */
    int error;                    /* why the file can't be passed, an errno */
    bool end;
};

static uint32_t smallest(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t least = a < b ? a : b;
    return (uint32_t)(least < c ? least : c);
}

static void stream_ended(Call *c)
{
    c->ended = true;
    threads_forget(&c->stream);
}

static bool write_head(struct output *o)
{
    Call *c = o->call;
    struct stream *s = &c->stream;
    uint32_t n = smallest((uint64_t)o->length, s->credit, s->link->frame_max - HEAD_SIZE - c->head_size);
    bool last = o->end && n == o->length;
    uint32_t size = frame_padded(HEAD_SIZE + c->head_size + n);
    uint8_t *p = link_frame(s->link, (struct frame){size, s->id, FRAME_HEAD, last ? FLAG_END_STREAM : 0, c->status, n});
    if (!p)
        return false;
    store64(p + FRAME_HEADER, c->head_fields | (uint64_t)c->head_phrase << 16);
    memcpy(p + HEAD_SIZE, c->head, c->head_size);
    memcpy(p + HEAD_SIZE + c->head_size, o->body, n);
    s->credit -= n;
    o->offset = n;
    c->body_sent += n;
    c->head_sent = true;
    if (last)
        stream_ended(c);
    return true;
}

static bool write_data(struct output *o)
{
    struct stream *s = &o->call->stream;
    uint32_t n = smallest((uint64_t)(o->length - o->offset), s->credit, s->link->frame_max - FRAME_HEADER);
    bool last = o->end && o->offset + n == o->length;
    struct frame header = {frame_padded(FRAME_HEADER + n), s->id, FRAME_DATA, last ? FLAG_END_STREAM : 0, 0, n};
    uint8_t *p = n ? link_frame(s->link, header) : NULL;
    if (!p)
        return false;
    memcpy(p + FRAME_HEADER, o->body + o->offset, n);
    s->credit -= n;
    o->offset += n;
    o->call->body_sent += n;
    if (last)
        stream_ended(o->call);
    return true;
}

static bool write_end(struct output *o)
{
    struct stream *s = &o->call->stream;
    if (!link_frame(s->link, (struct frame){FRAME_HEADER, s->id, FRAME_END, 0, 0, 0}))
        return false;
    stream_ended(o->call);
    return true;
}

/* Ends the stream with a file; true if that is done, or can't be. */
static bool write_file(struct output *o)
{
    struct stream *s = &o->call->stream;
    int result = link_file(s->link, s->id, o->file);
    if (result > 0)
        stream_ended(o->call);
    else if (result < 0)
        o->error = errno;
    return result;
}

/* Sends as much as credit and room allow; true if that is all, or if nobody listens any more. Lock held. */
static bool advance(void *argument)
{
    struct output *o = argument;
    Call *c = o->call;
    bool progress = true;
    if (c->stream.lost || c->ended)
        return true;
    if (!c->head_sent)
        progress = write_head(o);
    while (progress && o->offset < o->length)
        progress = write_data(o);
    if (progress && o->file)
        progress = write_file(o);
    else if (progress && o->end && !c->ended)
        progress = write_end(o);
    link_publish(c->stream.link);
    return progress;
}

static int raise_lost(Call *c)
{
    PyErr_SetString(c->loop->state->client_disconnected, "the client is gone");
    return -1;
}

static int raise_ended(void)
{
    PyErr_SetString(PyExc_AssertionError, "the response has ended: nothing can be sent any more");
    return -1;
}

/* Waits, without the GIL, until ready says so; false if the client is gone. */
static bool wait_ready(Call *c, bool (*ready)(void *), void *argument)
{
    ThreadLoop *l = c->loop;
    bool lost;
    Py_BEGIN_ALLOW_THREADS pthread_mutex_lock(&l->lock);
    threads_wait(l, &c->stream, ready, argument);
    lost = c->stream.lost;
    pthread_mutex_unlock(&l->lock);
    Py_END_ALLOW_THREADS return !lost;
}

int reply_send(Call *c, const uint8_t *body, Py_ssize_t length, bool end)
{
    ThreadLoop *l = c->loop;
    struct output o = {.call = c, .body = body, .length = length, .end = end};
    pthread_mutex_lock(&l->lock);
    if (c->head_sent)
        threads_look(l); /* whoever streams must hear that the client has left, even with credit to go on */
    bool ended = c->ended, done = advance(&o), lost = c->stream.lost;
    pthread_mutex_unlock(&l->lock);
    if (!done)
        lost = !wait_ready(c, advance, &o);
    return lost ? raise_lost(c) : ended ? raise_ended() : 0;
}

int reply_check(Call *c)
{
    pthread_mutex_lock(&c->loop->lock);
    threads_look(c->loop);
    bool lost = c->stream.lost;
    pthread_mutex_unlock(&c->loop->lock);
    return lost ? raise_lost(c) : 0;
}

/* The application's Content-Length, or UINT64_MAX. */
static uint64_t declared_length(const Call *c)
{
    static const char name[] = "content-length";
    const uint8_t *at = c->head + 4 * (size_t)c->head_fields;
    for (uint16_t i = 0; i < c->head_fields; i++) {
        uint16_t name_length = load16(c->head + 4 * i), value_length = load16(c->head + 4 * i + 2);
        const uint8_t *value = at + name_length;
        if (name_length == sizeof name - 1 && !PyOS_strnicmp((const char *)at, name, sizeof name - 1)) {
            uint64_t length = 0;
            for (uint16_t k = 0; k < value_length; k++)
                length = length * 10 + value[k] - '0';
            return length;
        }
        at = value + value_length;
    }
    return UINT64_MAX;
}

/* Adds a Content-Length to the head, if there is room for it. Lock held. */
static void add_length(Call *c, uint64_t length)
{
    char text[48];
    enum { NAME = sizeof "content-length" - 1 };
    uint32_t value = (uint32_t)PyOS_snprintf(text, sizeof text, "content-length%llu", (unsigned long long)length) - NAME;
    uint32_t added = 4 + NAME + value, table = 4u * c->head_fields, fields = c->head_size - table - c->head_phrase;
    if (HEAD_SIZE + c->head_size + added > c->stream.link->frame_max || c->head_fields == FIELDS_MAX)
        return;
    uint8_t *grown = PyMem_Realloc(c->head, c->head_size + added);
    if (!grown)
        return;
    uint8_t *phrase = grown + table + 4 + fields + NAME + value;
    memmove(phrase, grown + table + fields, c->head_phrase);
    memmove(grown + table + 4, grown + table, fields);
    memcpy(phrase - NAME - value, text, NAME + value);
    store16(grown + table, NAME);
    store16(grown + table + 2, (uint16_t)value);
    c->head = grown;
    c->head_size += added;
    c->head_fields++;
}

static bool has_body(const Call *c)
{
    return c->status != 204 && c->status != 205 && c->status != 304;
}

static bool is_head(const Call *c)
{
    return c->open.method.length == 4 && !memcmp(c->open.method.start, "HEAD", 4);
}

/* Works out how much of the file belongs to the response. Lock held. */
static void limit_file(Call *c, struct file_part *part)
{
    uint64_t length = declared_length(c);
    if (length == UINT64_MAX && !c->head_sent && has_body(c))
        add_length(c, part->count);
    if (length != UINT64_MAX && part->count > length - (length < c->body_sent ? length : c->body_sent))
        part->count = length - (length < c->body_sent ? length : c->body_sent);
}

int reply_file(Call *c, struct file_part part)
{
    ThreadLoop *l = c->loop;
    struct output o = {.call = c, .body = (const uint8_t *)"", .file = &part};
    pthread_mutex_lock(&l->lock);
    bool ended = c->ended;
    if (!ended)
        limit_file(c, &part);
    pthread_mutex_unlock(&l->lock);
    if (ended)
        return raise_ended();
    if (is_head(c) || !has_body(c) || !part.count)
        return reply_send(c, o.body, 0, true);
    if (!wait_ready(c, advance, &o))
        return raise_lost(c);
    errno = o.error;
    if (o.error)
        PyErr_SetFromErrno(PyExc_OSError);
    return o.error ? -1 : 0;
}

bool reply_has_begun(Call *c)
{
    pthread_mutex_lock(&c->loop->lock);
    bool begun = c->head_sent || c->ended;
    pthread_mutex_unlock(&c->loop->lock);
    return begun;
}

bool reply_set_head(Call *c, struct reply_head *head)
{
    ThreadLoop *l = c->loop;
    uint32_t length = head->phrase.length;
    pthread_mutex_lock(&l->lock); /* a thread of the application's may just be sending it */
    bool fits = !c->head_sent;
    if (fits) {
        PyMem_Free(c->head);
        c->head = head->fields.data;
        c->head_size = head->fields.size + length;
        c->head_fields = head->fields.count;
        c->head_phrase = (uint16_t)length;
        c->status = (uint16_t)head->status;
        c->started = true;
    }
    pthread_mutex_unlock(&l->lock);
    return fits;
}

struct inform {
    Call *call;
    const struct fields *fields;
    int status;
};

static bool write_inform(void *argument)
{
    struct inform *o = argument;
    Call *c = o->call;
    struct link *k = c->stream.link;
    if (c->stream.lost || c->ended || c->head_sent)
        return true;
    uint32_t size = frame_padded(HEAD_SIZE + o->fields->size);
    uint8_t *p = link_frame(k, (struct frame){size, c->stream.id, FRAME_INFORM, 0, (uint16_t)o->status, 0});
    if (p) {
        store64(p + FRAME_HEADER, o->fields->count);
        memcpy(p + HEAD_SIZE, o->fields->data, o->fields->size);
    }
    link_publish(k);
    return p;
}

int reply_inform(Call *c, int status, const struct fields *fields)
{
    struct inform o = {c, fields, status};
    return wait_ready(c, write_inform, &o) ? 0 : raise_lost(c);
}

struct reset {
    Call *call;
    const char *text;
};

/* As much of the name of an exception's class as a RESET has room for, in whole characters. */
static uint32_t text_length(const char *text)
{
    size_t length = strlen(text);
    if (length <= RESET_TEXT_MAX)
        return (uint32_t)length;
    for (length = RESET_TEXT_MAX; (text[length] & 0xc0) == 0x80;)
        length--;
    return (uint32_t)length;
}

static bool write_reset(void *argument)
{
    struct reset *r = argument;
    struct stream *s = &r->call->stream;
    uint32_t length = text_length(r->text);
    if ((s->lost && !s->overdue) || r->call->ended)
        return true;
    uint16_t code = s->overdue ? RESET_DEADLINE : RESET_APP_ERROR;
    uint8_t *p = link_frame(s->link, (struct frame){frame_padded(FRAME_HEADER + length), s->id, FRAME_RESET, 0, code, length});
    if (p) {
        memcpy(p + FRAME_HEADER, r->text, length);
        stream_ended(r->call);
    }
    link_publish(s->link);
    return p;
}

void reply_reset(Call *c, const char *text)
{
    struct reset r = {c, text};
    wait_ready(c, write_reset, &r);
}
