/* Frames of an exchange towards the server.
 *
 * A frame goes straight into the ring if nothing of the exchange waits before it and there is room; else it is queued as a
 * piece. Body bytes also need the client's credit; they are queued by reference and cut into frames when they leave. The queue
 * moves on when a WINDOW arrives or when the server has made room. Between the reservation of a frame and its last byte no
 * Python code may run: it could publish. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "exchange.h"

static void append(Exchange *x, struct piece *p)
{
    if (x->last_piece)
        x->last_piece->next = p;
    else
        x->first_piece = p;
    x->last_piece = p;
}

static void pop(Exchange *x)
{
    struct piece *p = x->first_piece;
    x->first_piece = p->next;
    if (!x->first_piece)
        x->last_piece = NULL;
    Py_XDECREF(p->bytes);
    if (p->is_file)
        close(p->file.fd);
    PyMem_Free(p);
}

void output_drop(Exchange *x)
{
    while (x->first_piece)
        pop(x);
    PyMem_Free(x->head);
    x->head = NULL;
    x->head_held = false;
    x->grant_owed = 0;
}

static struct piece *piece_new(uint32_t size)
{
    struct piece *p = PyMem_Malloc(sizeof *p + size);
    if (!p) {
        PyErr_NoMemory();
        return NULL;
    }
    memset(p, 0, sizeof *p);
    p->size = size;
    return p;
}

/* A frame that ends the stream. On a TCP connection an END is about one direction only. */
static bool is_last(const Exchange *x, struct frame header)
{
    return (header.type == FRAME_END && x->kind != KIND_TCP) || header.type == FRAME_RESET || header.type == FRAME_CLOSE ||
           header.flags & FLAG_END_STREAM;
}

uint8_t *output_frame(Exchange *x, struct frame header)
{
    if (!x->first_piece) {
        uint8_t *room = link_frame(x->link, header);
        if (room) {
            x->end_written = is_last(x, header);
            return room;
        }
        loop_block(x);
    }
    struct piece *p = piece_new(header.size);
    if (!p)
        return NULL;
    p->last = is_last(x, header);
    frame_write(p->data, header);
    append(x, p);
    return p->data;
}

void output_commit(Exchange *x)
{
    AsyncLoop *l = x->loop;
    struct link *k = x->link;
    if (x->end_written && !x->stream_over)
        exchange_leave_stream(x);
    loop_publish(l, k);
}

static uint32_t smallest(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t least = a < b ? a : b;
    return (uint32_t)(least < c ? least : c);
}

int output_head(Exchange *x, const uint8_t *body, Py_ssize_t length, bool end, Py_ssize_t *sent)
{
    uint32_t n = smallest((uint64_t)length, x->credit, x->link->frame_max - HEAD_SIZE - x->head_size);
    uint8_t flags = (end && n == length ? FLAG_END_STREAM : 0) | (x->with_trailers ? FLAG_TRAILERS : 0);
    uint32_t size = frame_padded(HEAD_SIZE + x->head_size + n);
    uint8_t *p = output_frame(x, (struct frame){size, x->stream, FRAME_HEAD, flags, x->status, n});
    if (!p)
        return -1;
    store64(p + FRAME_HEADER, x->head_fields | (uint64_t)x->head_phrase << 16);
    memcpy(p + HEAD_SIZE, x->head, x->head_size);
    memcpy(p + HEAD_SIZE + x->head_size, body, n);
    x->credit -= n;
    x->head_held = false;
    PyMem_Free(x->head);
    x->head = NULL;
    *sent = n;
    return 0;
}

/* The header of a payload's next n bytes; last: of all. */
static struct frame header_of(Exchange *x, const struct payload *p, uint32_t n, bool last)
{
    uint32_t size = frame_padded(FRAME_HEADER + n);
    if (p->message)
        return (struct frame){size, x->stream, FRAME_MESSAGE, last || x->kind == KIND_TCP ? 0 : FLAG_MORE, p->message, n};
    return (struct frame){size, x->stream, FRAME_DATA, last && p->end ? FLAG_END_STREAM : 0, 0, n};
}

/* Sends bytes from *offset on; true if all are in the ring, else *offset tells how far it went. An empty message is a frame, too. */
static bool write_payload(Exchange *x, const struct payload *p, Py_ssize_t *offset)
{
    bool last = false;
    while (!last) {
        uint32_t n = smallest((uint64_t)(p->length - *offset), x->credit, x->link->frame_max - FRAME_HEADER);
        last = *offset + n == p->length;
        if (!n && !last)
            return false;
        struct frame header = header_of(x, p, n, last);
        uint8_t *room = link_frame(x->link, header);
        if (!room) {
            loop_block(x);
            return false;
        }
        memcpy(room + FRAME_HEADER, p->bytes + *offset, n);
        x->credit -= n;
        *offset += n;
        x->end_written = is_last(x, header);
    }
    return true;
}

/* Keeps the bytes from offset on for later: by reference if they can't change, else as a copy. */
static int queue_payload(Exchange *x, PyObject *owner, const struct payload *p, Py_ssize_t offset)
{
    struct piece *queued = piece_new(0);
    if (!queued)
        return -1;
    if (PyBytes_CheckExact(owner) || PyUnicode_CheckExact(owner)) {
        queued->bytes = Py_NewRef(owner);
        queued->offset = offset;
    } else {
        queued->bytes = PyBytes_FromStringAndSize((const char *)p->bytes + offset, p->length - offset);
    }
    if (!queued->bytes) {
        PyMem_Free(queued);
        return -1;
    }
    queued->message = p->message;
    queued->end = p->end;
    append(x, queued);
    return 0;
}

/* Half of it is with the server, and there is no memory for the rest: what came next would be taken for that. Keeps the exception. */
static void break_off(Exchange *x)
{
    PyObject *raised = PyErr_GetRaisedException();
    x->lost = true;
    output_reset(x, RESET_APP_ERROR, "no memory for the rest of a message");
    wait_wake(x, WAIT_RECEIVE);
    PyErr_SetRaisedException(raised);
}

int output_payload(Exchange *x, PyObject *owner, struct payload p, Py_ssize_t offset)
{
    Py_ssize_t start = offset;
    if (offset == p.length && !p.message)
        return p.end ? output_end(x, NULL) : 0;
    if (!x->first_piece && write_payload(x, &p, &offset))
        return 0;
    int result = queue_payload(x, owner, &p, offset);
    if (result < 0 && offset > start)
        break_off(x);
    return result;
}

int output_end(Exchange *x, const struct fields *trailers)
{
    uint32_t length = trailers ? trailers->size : 0;
    uint16_t count = trailers ? trailers->count : 0;
    uint8_t *p = output_frame(x, (struct frame){frame_padded(FRAME_HEADER + length), x->stream, FRAME_END, 0, count, length});
    if (!p)
        return -1;
    if (length)
        memcpy(p + FRAME_HEADER, trailers->data, length);
    return 0;
}

/* Writes the FILE frame: 1, 0 without room, -1 with an exception. */
static int write_file(Exchange *x, const struct file_part *part)
{
    int result = link_file(x->link, x->stream, part);
    if (result == 0)
        loop_block(x);
    else if (result > 0)
        x->end_written = true;
    else
        PyErr_SetFromErrno(PyExc_OSError);
    return result;
}

int output_file(Exchange *x, const struct file_part *part)
{
    int result = x->first_piece ? 0 : write_file(x, part);
    if (result)
        return result < 0 ? -1 : 0;
    struct piece *p = piece_new(0);
    if (!p)
        return -1;
    p->file = *part;
    p->file.fd = fcntl(part->fd, F_DUPFD_CLOEXEC, 0); /* the application may close its own */
    if (p->file.fd < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        PyMem_Free(p);
        return -1;
    }
    p->is_file = true;
    append(x, p);
    return 0;
}

/* A WINDOW doesn't wait behind the body. */
void output_grant(Exchange *x, uint32_t credit)
{
    uint32_t owed = x->grant_owed + credit;
    bool sent = link_frame(x->link, (struct frame){FRAME_HEADER, x->stream, FRAME_WINDOW, 0, 0, owed});
    x->grant_owed = sent ? 0 : owed;
    if (!sent)
        loop_block(x);
    loop_publish(x->loop, x->link);
}

void output_reset(Exchange *x, enum reset_code code, const char *text)
{
    output_drop(x);
    uint32_t length = (uint32_t)strnlen(text, RESET_TEXT_MAX);
    struct frame header = {frame_padded(FRAME_HEADER + length), x->stream, FRAME_RESET, 0, (uint16_t)code, length};
    uint8_t *p = output_frame(x, header);
    if (!p) {
        PyErr_WriteUnraisable((PyObject *)x);
        return;
    }
    memcpy(p + FRAME_HEADER, text, length);
    output_commit(x);
}

/* A file that waited for its turn; what is wrong with it now ends the stream. */
static bool write_queued_file(Exchange *x, const struct file_part *part)
{
    int result = write_file(x, part);
    if (result >= 0)
        return result;
    PyErr_WriteUnraisable((PyObject *)x);
    output_reset(x, RESET_APP_ERROR, "a file's descriptor can't be passed");
    return false;
}

/* The bytes of a piece; a str has kept its UTF-8 since send() asked for it. */
static bool write_queued_payload(Exchange *x, struct piece *p)
{
    struct payload rest = {.message = p->message, .end = p->end};
    if (PyUnicode_Check(p->bytes)) {
        rest.bytes = (const uint8_t *)PyUnicode_AsUTF8AndSize(p->bytes, &rest.length);
    } else {
        rest.bytes = (const uint8_t *)PyBytes_AS_STRING(p->bytes);
        rest.length = PyBytes_GET_SIZE(p->bytes);
    }
    return write_payload(x, &rest, &p->offset);
}

static bool write_piece(Exchange *x, struct piece *p)
{
    if (p->is_file)
        return write_queued_file(x, &p->file);
    if (p->bytes)
        return write_queued_payload(x, p);
    uint8_t *room = link_frame(x->link, frame_read(p->data));
    if (!room) {
        loop_block(x);
        return false;
    }
    memcpy(room, p->data, p->size);
    x->end_written = p->last;
    return true;
}

void output_flush(Exchange *x)
{
    if (x->grant_owed)
        output_grant(x, 0);
    bool waited = x->first_piece;
    while (x->first_piece && write_piece(x, x->first_piece))
        pop(x);
    if (waited && !x->first_piece)
        wait_sent(x);
    if (waited && !x->first_piece && x->kind == KIND_UDP && x->transport)
        transport_drained(x);
    output_commit(x);
}
