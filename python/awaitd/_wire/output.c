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

static bool is_last(struct frame header)
{
    return header.type == FRAME_END || header.flags & FLAG_END_STREAM;
}

uint8_t *output_frame(Exchange *x, struct frame header)
{
    if (!x->first_piece) {
        uint8_t *room = link_frame(x->link, header);
        if (room) {
            x->end_written = is_last(header);
            return room;
        }
        loop_block(x);
    }
    struct piece *p = piece_new(header.size);
    if (!p)
        return NULL;
    p->last = is_last(header);
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
    store64(p + FRAME_HEADER, x->head_fields);
    memcpy(p + HEAD_SIZE, x->head, x->head_size);
    memcpy(p + HEAD_SIZE + x->head_size, body, n);
    x->credit -= n;
    x->head_held = false;
    PyMem_Free(x->head);
    x->head = NULL;
    *sent = n;
    return 0;
}

/* Sends body bytes from *offset on; true if all are in the ring, else *offset tells how far it went. */
static bool write_body(Exchange *x, const uint8_t *body, Py_ssize_t length, bool end, Py_ssize_t *offset)
{
    while (*offset < length) {
        uint32_t n = smallest((uint64_t)(length - *offset), x->credit, x->link->frame_max - FRAME_HEADER);
        bool last = end && *offset + n == length;
        if (!n)
            return false;
        struct frame header = {frame_padded(FRAME_HEADER + n), x->stream, FRAME_DATA, last ? FLAG_END_STREAM : 0, 0, n};
        uint8_t *p = link_frame(x->link, header);
        if (!p) {
            loop_block(x);
            return false;
        }
        memcpy(p + FRAME_HEADER, body + *offset, n);
        x->credit -= n;
        *offset += n;
        x->end_written = last;
    }
    return true;
}

/* Keeps the bytes from offset on for later: by reference if they can't change, else as a copy. */
static int queue_body(Exchange *x, PyObject *owner, const uint8_t *body, Py_ssize_t length, Py_ssize_t offset, bool end)
{
    struct piece *p = piece_new(0);
    if (!p)
        return -1;
    if (PyBytes_CheckExact(owner)) {
        p->bytes = Py_NewRef(owner);
        p->offset = offset;
    } else {
        p->bytes = PyBytes_FromStringAndSize((const char *)body + offset, length - offset);
    }
    if (!p->bytes) {
        PyMem_Free(p);
        return -1;
    }
    p->end = end;
    append(x, p);
    return 0;
}

int output_body(Exchange *x, PyObject *owner, const uint8_t *body, Py_ssize_t length, Py_ssize_t offset, bool end)
{
    if (offset == length)
        return end ? output_end(x, NULL) : 0;
    if (!x->first_piece && write_body(x, body, length, end, &offset))
        return 0;
    return queue_body(x, owner, body, length, offset, end);
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

/* A RESET overtakes everything; what is queued is dropped. */
void output_reset(Exchange *x)
{
    output_drop(x);
    uint32_t length = (uint32_t)strlen(x->reset_text);
    struct frame header = {frame_padded(FRAME_HEADER + length), x->stream, FRAME_RESET, 0, x->reset_code, length};
    uint8_t *p = link_frame(x->link, header);
    x->reset_owed = !p;
    if (p) {
        memcpy(p + FRAME_HEADER, x->reset_text, length);
        x->end_written = true;
        output_commit(x);
    } else {
        loop_block(x);
    }
}

/* A file that waited for its turn; what is wrong with it now ends the stream. */
static bool write_queued_file(Exchange *x, const struct file_part *part)
{
    int result = write_file(x, part);
    if (result >= 0)
        return result;
    PyErr_WriteUnraisable((PyObject *)x);
    x->reset_code = RESET_APP_ERROR;
    PyOS_snprintf(x->reset_text, sizeof x->reset_text, "a file's descriptor can't be passed");
    output_reset(x);
    return false;
}

static bool write_piece(Exchange *x, struct piece *p)
{
    if (p->is_file)
        return write_queued_file(x, &p->file);
    if (p->bytes)
        return write_body(x, (const uint8_t *)PyBytes_AS_STRING(p->bytes), PyBytes_GET_SIZE(p->bytes), p->end, &p->offset);
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
    if (x->reset_owed) {
        output_reset(x);
        return;
    }
    if (x->grant_owed)
        output_grant(x, 0);
    bool waited = x->first_piece;
    while (x->first_piece && write_piece(x, x->first_piece))
        pop(x);
    if (waited && !x->first_piece)
        exchange_wake(x, WAIT_SEND);
    output_commit(x);
}
