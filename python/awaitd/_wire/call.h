/* The objects of a threaded worker loop (WSGI): the loop, which its threads serve in turn, and one call per request.
 *
 * One thread at a time leads: it reads the links and hands what it finds to the streams it belongs to. A thread that needs a
 * request, or more of a body, or room for its response, leads if nobody does; else it waits until it is told. What the lock
 * guards may be touched without the GIL; nobody takes the GIL, or runs Python code, while holding the lock. */
#ifndef AWAITD_CALL_H
#define AWAITD_CALL_H

#include "fields.h"
#include "link.h"
#include "state.h"

#include <pthread.h>

enum { CALL_WINDOW = (64 << 10) - FRAME_HEADER }; /* fits one frame of the usual ring */

/* A part of a request body, malloc. */
struct chunk {
    struct chunk *next;
    uint32_t length, offset;
    uint8_t data[];
};

/* What the leading thread knows of a running call; guarded by the loop's lock. */
struct stream {
    uint32_t id;
    struct link *link;
    struct chunk *first, *last;
    uint64_t credit;   /* body bytes we may send */
    uint32_t consumed; /* body bytes read since the last grant */
    uint32_t owed;     /* credit to be granted when there is room */
    bool granted;      /* the first grant was made */
    bool whole;        /* all of the request body is here */
    bool lost;         /* RESET by the server */
    bool overdue;      /* the same, for the deadline: the server waits for our end */
    bool over;         /* our end is written, or lost: out of the table */
    pthread_cond_t changed;
    int waiters; /* threads that wait for it; it is in the list while there are any */
    struct stream *next_waiting;
};

/* An OPEN frame that was read over and not yet taken. */
struct pending {
    uint8_t *frame;
    uint64_t position; /* of the frame, in the link's ring */
    uint32_t size;
    uint32_t link;
};

static inline _Atomic uint32_t *claim_word(const struct pending *p)
{
    return (_Atomic uint32_t *)(void *)(p->frame + OPEN_CLAIM);
}

typedef struct {
    PyObject_HEAD
    State *state;
    PyObject *module;
    PyObject *application;
    PyObject *environ; /* template */
    PyObject *root_path;
    PyObject *report;
    PyObject *on_idle;
    pthread_mutex_t lock;
    pthread_cond_t follow; /* threads that wait for a request or for the lead */
    struct link *links;
    Py_ssize_t link_count;
    struct pending *pending; /* fifo: pending[taken .. added) */
    uint32_t pending_taken, pending_added, pending_room;
    struct stream *waiting;
    int followers;
    int doorbell;
    bool leading, stopping;
    Py_ssize_t in_flight;
    uint64_t started;
} ThreadLoop;

typedef struct {
    PyObject_HEAD
    ThreadLoop *loop;
    struct stream stream;
    uint8_t *frame; /* copy of the OPEN */
    struct open open;
    struct span inline_body; /* what of the body in OPEN is not read yet */
    uint8_t *head;           /* field table, field bytes, reason phrase */
    uint32_t head_size;
    uint16_t head_fields;
    uint16_t head_phrase; /* length; 0: the server has the usual one */
    uint16_t status;
    uint64_t body_sent;
    bool started; /* start_response was called */
    bool head_sent;
    bool ended;
} Call;

/* threads.c */
/* Lock held, no GIL: waits until ready says so. Leads while nobody else does. */
void threads_wait(ThreadLoop *l, struct stream *s, bool (*ready)(void *), void *argument);
void threads_look(ThreadLoop *l);      /* lock held: reads the links, if nobody leads */
void threads_forget(struct stream *s); /* lock held: the stream is over */

/* call.c */
Call *call_new(ThreadLoop *l);
/* Runs the application for a request that was taken. -1 only for what ends the process. */
int call_run(Call *c);

/* environ.c */
PyObject *environ_template(ThreadLoop *l, PyObject *fixed);
PyObject *environ_build(Call *c);

/* input.c: the Call as wsgi.input. It is wsgi.early_hints as well: that is seldom called, and an object of its own would cost every
 * request. */
extern PyMethodDef call_methods[];
PyObject *input_next(PyObject *self);

/* start.c: start_response, write, wsgi.early_hints */
extern PyMethodDef start_response_method;
PyObject *early_hints(PyObject *self, PyObject *args, PyObject *kwargs);

/* reply.c: the response's frames */
struct reply_head {
    struct fields fields;
    struct span phrase;
    int status;
};
bool reply_has_begun(Call *c); /* the head has gone out */
/* Sets the head, in place of one that was set before; takes over the fields' data. False: it has gone out already. */
bool reply_set_head(Call *c, struct reply_head *head);
/* Sends body bytes, after the head if that is still to be sent, and the end. -1 with an exception. */
int reply_send(Call *c, const uint8_t *body, Py_ssize_t length, bool end);
int reply_check(Call *c); /* -1 with an exception if the client has left */
/* Sends a part of a file as the rest of the body; the descriptor may be closed then. -1 with an exception. */
int reply_file(Call *c, struct file_part part);
/* Sends an interim response. -1 with an exception. */
int reply_inform(Call *c, int status, const struct fields *fields);
void reply_reset(Call *c, const char *text);

#endif
