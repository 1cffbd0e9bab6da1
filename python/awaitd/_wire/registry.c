#include "registry.h"

/* asyncio.tasks._all_tasks, if it is a WeakSet whose add nobody has replaced. */
static PyObject *all_tasks(void)
{
    PyObject *tasks = PyImport_ImportModule("asyncio.tasks");
    PyObject *set = tasks ? PyObject_GetAttrString(tasks, "_all_tasks") : NULL;
    PyObject *weakref = set ? PyImport_ImportModule("weakref") : NULL;
    PyObject *type = weakref ? PyObject_GetAttrString(weakref, "WeakSet") : NULL;
    if (!type || (PyObject *)Py_TYPE(set) != type)
        Py_CLEAR(set);
    Py_XDECREF(tasks);
    Py_XDECREF(weakref);
    Py_XDECREF(type);
    return set;
}

static void find(struct registry *r, PyObject *set)
{
    r->name = PyUnicode_InternFromString("add");
    r->dict = PyObject_GenericGetDict(set, NULL);
    r->data = PyObject_GetAttrString(set, "data");
    r->remove = PyObject_GetAttrString(set, "_remove");
    r->pending = PyObject_GetAttrString(set, "_pending_removals");
    r->iterating = PyObject_GetAttrString(set, "_iterating");
    r->slow_add = PyObject_GetAttrString(set, "add");
}

static bool is_known(struct registry *r)
{
    return r->fast_add && r->name && r->dict && r->slow_add && r->data && PySet_CheckExact(r->data) && r->remove &&
           PyCallable_Check(r->remove) && r->pending && PyList_CheckExact(r->pending) && r->iterating &&
           PySet_CheckExact(r->iterating) && PyDict_Contains(r->dict, r->name) == 0;
}

void registry_open(struct registry *r, PyObject *fast_add)
{
    PyObject *set = all_tasks();
    r->fast_add = fast_add;
    if (set)
        find(r, set);
    Py_XDECREF(set);
    if (!is_known(r))
        registry_close(r);
    PyErr_Clear();
}

int registry_visit(struct registry *r, visitproc visit, void *arg)
{
    Py_VISIT(r->dict);
    Py_VISIT(r->data);
    Py_VISIT(r->remove);
    Py_VISIT(r->pending);
    Py_VISIT(r->iterating);
    Py_VISIT(r->slow_add);
    Py_VISIT(r->fast_add);
    Py_VISIT(r->reference);
    return 0;
}

void registry_close(struct registry *r)
{
    Py_CLEAR(r->dict);
    Py_CLEAR(r->data);
    Py_CLEAR(r->remove);
    Py_CLEAR(r->pending);
    Py_CLEAR(r->iterating);
    Py_CLEAR(r->name);
    Py_CLEAR(r->slow_add);
    Py_CLEAR(r->fast_add);
    Py_CLEAR(r->reference);
}

void registry_enter(struct registry *r)
{
    if (r->dict && PyDict_SetItem(r->dict, r->name, r->fast_add) < 0)
        PyErr_Clear();
}

void registry_leave(struct registry *r)
{
    if (r->dict && PyDict_DelItem(r->dict, r->name) < 0)
        PyErr_Clear();
}

PyObject *registry_add(struct registry *r, PyObject *task)
{
    if (PyList_GET_SIZE(r->pending))
        return PyObject_CallOneArg(r->slow_add, task);
    PyObject *reference = PyWeakref_NewRef(task, r->remove);
    if (!reference || PySet_Add(r->data, reference) < 0) {
        Py_XDECREF(reference);
        return NULL;
    }
    Py_XSETREF(r->reference, reference);
    Py_RETURN_NONE;
}

static bool refers_to(PyObject *reference, PyObject *task)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *found = NULL;
    bool same = PyWeakref_GetRef(reference, &found) == 1 && found == task;
    Py_XDECREF(found);
    return same;
#else
    return PyWeakref_GetObject(reference) == task;
#endif
}

PyObject *registry_take(struct registry *r, PyObject *task)
{
    PyObject *reference = r->reference;
    r->reference = NULL;
    if (reference && !refers_to(reference, task))
        Py_CLEAR(reference);
    return reference;
}

void registry_drop(struct registry *r, PyObject *reference)
{
    if (PySet_GET_SIZE(r->iterating) == 0 && PySet_Discard(r->data, reference) < 0)
        PyErr_Clear();
}
