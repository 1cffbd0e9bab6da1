#include "links.h"

static int attach(State *s, struct link *l, PyObject *item)
{
    int memfd, doorbell;
    unsigned int size;
    if (!PyArg_ParseTuple(item, "iIi", &memfd, &size, &doorbell))
        return -1;
    const char *problem = link_attach(l, memfd, size, doorbell, &s->passing);
    if (!problem)
        return 0;
    PyErr_SetString(PyExc_OSError, problem);
    return -1;
}

struct link *links_attach(State *s, PyObject *list)
{
    Py_ssize_t count = PyList_GET_SIZE(list);
    struct link *links = PyMem_RawCalloc((size_t)count, sizeof *links);
    if (!links) {
        PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        if (attach(s, &links[i], PyList_GET_ITEM(list, i)) < 0) {
            links_detach(links, i);
            return NULL;
        }
    return links;
}

void links_detach(struct link *links, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; links && i < count; i++)
        link_detach(&links[i]);
    PyMem_RawFree(links);
}
