/* One WSGI request, from the environ to close(). */
#include "call.h"

#include <stdlib.h>

Call *call_new(ThreadLoop *l)
{
    Call *c = PyObject_New(Call, l->state->call_type);
    if (!c)
        return NULL;
    memset((char *)c + sizeof(PyObject), 0, sizeof *c - sizeof(PyObject));
    c->loop = (ThreadLoop *)Py_NewRef((PyObject *)l);
    pthread_cond_init(&c->stream.changed, NULL);
    return c;
}

static int check_started(Call *c)
{
    if (c->started)
        return 0;
    PyErr_SetString(PyExc_AssertionError, "the application did not call start_response before its first output");
    return -1;
}

static int send_item(Call *c, PyObject *item, bool end)
{
    if (!PyBytes_Check(item)) {
        PyErr_Format(PyExc_TypeError, "the application's iterable must yield bytes, not %.100s", Py_TYPE(item)->tp_name);
        return -1;
    }
    if (!PyBytes_GET_SIZE(item) && !end)
        return reply_check(c);
    if (check_started(c) < 0)
        return -1;
    return reply_send(c, (const uint8_t *)PyBytes_AS_STRING(item), PyBytes_GET_SIZE(item), end);
}

/* What an application returns by mistake: named, since what iterating says of it would lead astray. */
static int bad_result(PyObject *result)
{
    PyAsyncMethods *methods = Py_TYPE(result)->tp_as_async;
    const char *hint = methods && (methods->am_await || methods->am_aiter)
                           ? "; it is asynchronous, and was taken for WSGI: --interface asgi3 says what it is"
                       : result == Py_None                                ? "; is there a return missing?"
                       : PyUnicode_Check(result) || PyBytes_Check(result) ? "; put it into a list"
                                                                          : "";
    PyErr_Format(PyExc_TypeError, "the application must return an iterable of bytes (PEP 3333), not %.100s%s",
                 Py_TYPE(result)->tp_name, hint);
    return -1;
}

static int send_iterable(Call *c, PyObject *iterable)
{
    if (PyUnicode_Check(iterable) || PyBytes_Check(iterable) || PyByteArray_Check(iterable))
        return bad_result(iterable);
    if (!Py_TYPE(iterable)->tp_iter && !PySequence_Check(iterable))
        return bad_result(iterable);
    PyObject *item, *iterator = PyObject_GetIter(iterable);
    if (!iterator)
        return -1;
    int result = 0;
    while (result == 0 && (item = PyIter_Next(iterator))) {
        result = send_item(c, item, false);
        Py_DECREF(item);
    }
    Py_DECREF(iterator);
    if (result < 0 || PyErr_Occurred())
        return -1;
    return send_item(c, c->loop->state->empty_bytes, true);
}

/* A file goes by its descriptor if it is a regular one, else by iteration. */
static int send_wrapped(Call *c, PyObject *wrapper)
{
    struct file_part part;
    unsigned long long offset, count;
    PyObject *found = PyObject_CallOneArg(c->loop->state->regular_part, wrapper);
    if (!found)
        return -1;
    if (found == Py_None) {
        Py_DECREF(found);
        return send_iterable(c, wrapper);
    }
    int parsed = PyArg_ParseTuple(found, "iKK", &part.fd, &offset, &count);
    Py_DECREF(found);
    if (!parsed || check_started(c) < 0)
        return -1;
    part.offset = offset;
    part.count = count;
    return reply_file(c, part);
}

/* A list or tuple with one item, the usual answer, is one frame. */
static int send_result(Call *c, PyObject *iterable)
{
    if (PyList_CheckExact(iterable) && PyList_GET_SIZE(iterable) == 1) {
        PyObject *item = Py_NewRef(PyList_GET_ITEM(iterable, 0));
        int result = send_item(c, item, true);
        Py_DECREF(item);
        return result;
    }
    if (PyTuple_CheckExact(iterable) && PyTuple_GET_SIZE(iterable) == 1)
        return send_item(c, PyTuple_GET_ITEM(iterable, 0), true);
    if ((PyObject *)Py_TYPE(iterable) == c->loop->state->file_wrapper)
        return send_wrapped(c, iterable);
    return send_iterable(c, iterable);
}

/* Calls close() if there is one; an exception of the iteration outlives one of close(). */
static int close_iterable(Call *c, PyObject *iterable, int result)
{
    if (PyList_CheckExact(iterable) || PyTuple_CheckExact(iterable))
        return result;
    PyObject *raised = result < 0 ? PyErr_GetRaisedException() : NULL;
    PyObject *close = PyObject_GetAttr(iterable, c->loop->state->str.close);
    if (!close && PyErr_ExceptionMatches(PyExc_AttributeError))
        PyErr_Clear();
    PyObject *closed = close ? PyObject_CallNoArgs(close) : NULL;
    if (PyErr_Occurred())
        result = -1;
    Py_XDECREF(close);
    Py_XDECREF(closed);
    if (raised) {
        PyErr_Clear();
        PyErr_SetRaisedException(raised);
    }
    return result;
}

static int run(Call *c)
{
    PyObject *environ = environ_build(c);
    PyObject *start = environ ? PyCFunction_New(&start_response_method, (PyObject *)c) : NULL;
    PyObject *arguments[] = {environ, start};
    PyObject *iterable = start ? PyObject_Vectorcall(c->loop->application, arguments, 2, NULL) : NULL;
    int result = iterable ? send_result(c, iterable) : -1;
    if (iterable)
        result = close_iterable(c, iterable, result);
    Py_XDECREF(iterable);
    Py_XDECREF(start);
    Py_XDECREF(environ);
    return result;
}

static void report(Call *c, PyObject *exception)
{
    PyObject *result = PyObject_CallFunction(c->loop->report, "KOs", (unsigned long long)c->open.id, exception, "");
    if (!result)
        PyErr_WriteUnraisable(c->loop->report);
    Py_XDECREF(result);
}

/* Reports the exception and ends the stream if it has not ended; -1 if the exception ends the process, which only SystemExit does:
 * nobody but the application itself can have raised a KeyboardInterrupt here. */
static int fail(Call *c)
{
    PyObject *exception = PyErr_GetRaisedException();
    pthread_mutex_lock(&c->loop->lock);
    bool lost = c->stream.lost;
    pthread_mutex_unlock(&c->loop->lock);
    bool quiet = lost && PyErr_GivenExceptionMatches(exception, c->loop->state->client_disconnected);
    if (!quiet)
        report(c, exception);
    reply_reset(c, Py_TYPE(exception)->tp_name);
    if (PyErr_GivenExceptionMatches(exception, PyExc_SystemExit)) {
        PyErr_SetRaisedException(exception);
        return -1;
    }
    Py_DECREF(exception);
    return 0;
}

int call_run(Call *c)
{
    int result = run(c) < 0 ? fail(c) : 0;
    ThreadLoop *l = c->loop;
    pthread_mutex_lock(&l->lock);
    bool overdue = c->stream.overdue && !c->ended;
    pthread_mutex_unlock(&l->lock);
    if (overdue) /* the server gives the thread's place to nobody before */
        reply_reset(c, "");
    pthread_mutex_lock(&l->lock);
    threads_forget(&c->stream);
    pthread_mutex_unlock(&l->lock);
    return result;
}

static PyObject *call_self(PyObject *self)
{
    return Py_NewRef(self);
}

static void call_dealloc(PyObject *self)
{
    Call *c = (Call *)self;
    PyTypeObject *type = Py_TYPE(self);
    for (struct chunk *chunk = c->stream.first, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    pthread_cond_destroy(&c->stream.changed);
    free(c->frame);
    PyMem_Free(c->head);
    Py_XDECREF(c->loop);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyType_Slot call_slots[] = {
    {Py_tp_dealloc, call_dealloc}, {Py_tp_iter, call_self},   {Py_tp_iternext, input_next},
    {Py_tp_methods, call_methods}, {Py_tp_call, early_hints}, {0, NULL},
};

PyType_Spec call_spec = {
    .name = "awaitd._wire.Input",
    .basicsize = sizeof(Call),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = call_slots,
};
