/* The requests of an HTTP client over a link of its own (see calls.c). */
#ifndef AWAITD_CALLS_H
#define AWAITD_CALLS_H

#include "state.h"

#include "link.h"

#define CALLS_OPENER 0x80000000u /* in the id of a stream that the worker has opened */

enum { NO_SLOT = UINT32_MAX };

/* A place in the table of streams. */
struct place {
    PyObject *handler; /* NULL: free, or ending */
    uint32_t generation;
    uint32_t next;   /* free place */
    uint32_t window; /* to grant, as soon as the ring has room */
    bool ending;     /* a RESET is to be written as soon as the ring has room */
};

typedef struct {
    PyObject_HEAD
    struct link link;
    State *state;
    struct place *places;
    uint32_t count, room, free;
    int doorbell;
    bool owing;   /* some place has a window or an end that is not written */
    bool in_turn; /* what is written is published at its end */
} Calls;

uint32_t calls_id(const Calls *c, uint32_t slot);

/* A free place, or NO_SLOT. */
uint32_t calls_take(Calls *c);

/* False with an exception once the link is closed. */
bool calls_is_open(Calls *c);

/* Writes what had found the ring full; owing says whether there is more. */
void calls_settle(Calls *c);

/* Publishes, unless a turn does it. */
void calls_show(Calls *c);

/* open(...), see OPEN_DOC. */
PyObject *calls_open(PyObject *self, PyObject *args);

#endif
