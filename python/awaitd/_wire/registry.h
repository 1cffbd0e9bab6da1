/* asyncio's set of all tasks, which before Python 3.12 is a WeakSet in Python: adding a task and its death cost a call each.
 *
 * While a task is constructed, an `add` in the set's instance dictionary does in C what WeakSet.add does; a task that its first
 * step finished is taken out at once. all_tasks() sees every task at every moment. */
#ifndef AWAITD_REGISTRY_H
#define AWAITD_REGISTRY_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>

struct registry {
    PyObject *dict;      /* instance dictionary of the WeakSet; NULL: left alone */
    PyObject *data;      /* its set of weak references */
    PyObject *remove;    /* their callback */
    PyObject *pending;   /* list of references that died during an iteration */
    PyObject *iterating; /* set of the iterations in progress */
    PyObject *name;      /* "add" */
    PyObject *slow_add;  /* the WeakSet's own, bound */
    PyObject *fast_add;  /* calls registry_add */
    PyObject *reference; /* the one made last, until it is taken */
};

/* Leaves r empty, without an exception, where the set is not as this code knows it. Steals fast_add, which may be NULL. */
void registry_open(struct registry *r, PyObject *fast_add);
int registry_visit(struct registry *r, visitproc visit, void *arg);
void registry_close(struct registry *r);

/* Between the two, tasks are added by fast_add. */
void registry_enter(struct registry *r);
void registry_leave(struct registry *r);
PyObject *registry_add(struct registry *r, PyObject *task);

/* The reference that registry_add made for the task, or NULL. */
PyObject *registry_take(struct registry *r, PyObject *task);
/* Takes a finished task out of the set. */
void registry_drop(struct registry *r, PyObject *reference);

#endif
