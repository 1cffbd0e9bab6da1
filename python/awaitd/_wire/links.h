/* The links of a worker loop, as Python hands them over. */
#ifndef AWAITD_LINKS_H
#define AWAITD_LINKS_H

#include "state.h"

#include "link.h"

/* list: [(memfd, ring size, doorbell towards the server), ...]. Returns an array of as many links, and takes over the doorbells;
 * NULL with an exception, and nothing attached. */
struct link *links_attach(State *s, PyObject *list);

/* Ends what links_attach began; links may be NULL. */
void links_detach(struct link *links, Py_ssize_t count);

#endif
