#include "fields.h"

/* tchar of RFC 9110, 5.6.2, as a bit set. */
static const uint32_t token_bits[8] = {0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff, 0, 0, 0, 0};

static bool is_token(uint8_t c)
{
    return token_bits[c >> 5] >> (c & 31) & 1;
}

static int bad_name(PyObject *name)
{
    PyErr_Format(PyExc_ValueError, "invalid header name %R: expected one or more token characters (RFC 9110)", name);
    return -1;
}

static int bad_value(PyObject *name, PyObject *value)
{
    PyErr_Format(PyExc_ValueError, "invalid value %R of header %R: control characters are not allowed", value, name);
    return -1;
}

/* The bytes of a name or value, if it is exactly of the expected type. */
static bool view_of(PyObject *o, enum field_text text, struct span *s)
{
    if (text == FIELD_BYTES) {
        if (!PyBytes_Check(o))
            return false;
        *s = (struct span){(const uint8_t *)PyBytes_AS_STRING(o), (uint32_t)PyBytes_GET_SIZE(o)};
        return PyBytes_GET_SIZE(o) <= UINT16_MAX;
    }
    if (!PyUnicode_Check(o) || PyUnicode_READY(o) < 0 || PyUnicode_KIND(o) != PyUnicode_1BYTE_KIND)
        return false;
    *s = (struct span){PyUnicode_1BYTE_DATA(o), (uint32_t)PyUnicode_GET_LENGTH(o)};
    return PyUnicode_GET_LENGTH(o) <= UINT16_MAX;
}

static int explain(PyObject *o, enum field_text text, const char *what)
{
    bool right = text == FIELD_BYTES ? PyBytes_Check(o) : PyUnicode_Check(o);
    Py_ssize_t length = right ? PyObject_Size(o) : 0;
    if (!right)
        PyErr_Format(PyExc_TypeError, "header %s must be %s, not %.100s", what, text == FIELD_BYTES ? "bytes" : "str",
                     Py_TYPE(o)->tp_name);
    else if (length > UINT16_MAX)
        PyErr_Format(PyExc_ValueError, "header %s is %zd bytes long; the limit is %d", what, length, UINT16_MAX);
    else
        PyErr_Format(PyExc_ValueError, "header %s has characters outside latin-1: %R", what, o);
    return -1;
}

static int check_name(PyObject *name, struct span s)
{
    for (uint32_t i = 0; i < s.length; i++)
        if (!is_token(s.start[i]))
            return bad_name(name);
    return s.length ? 0 : bad_name(name);
}

static int check_value(PyObject *name, PyObject *value, struct span s)
{
    for (uint32_t i = 0; i < s.length; i++) {
        uint8_t c = s.start[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return bad_value(name, value);
    }
    return 0;
}

/* Content-Length is a number that fits 63 bits. */
static int check_length(PyObject *name, PyObject *value, struct span n, struct span v)
{
    enum { MOST_DIGITS = 18 };
    if (n.length != strlen("content-length") || PyOS_strnicmp((const char *)n.start, "content-length", n.length))
        return 0;
    bool digits = v.length > 0 && v.length <= MOST_DIGITS;
    for (uint32_t i = 0; digits && i < v.length; i++)
        digits = v.start[i] >= '0' && v.start[i] <= '9';
    if (!digits)
        PyErr_Format(PyExc_ValueError, "invalid value %R of header %R: expected a number of bytes", value, name);
    return digits ? 0 : -1;
}

/* Borrows name and value of a pair. */
static int pair_of(PyObject *pair, enum field_text text, PyObject **name, PyObject **value)
{
    if (PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2) {
        *name = PyTuple_GET_ITEM(pair, 0);
        *value = PyTuple_GET_ITEM(pair, 1);
        return 0;
    }
    if (text == FIELD_BYTES && PyList_Check(pair) && PyList_GET_SIZE(pair) == 2) {
        *name = PyList_GET_ITEM(pair, 0);
        *value = PyList_GET_ITEM(pair, 1);
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "each header must be a tuple (name, value), got %R", pair);
    return -1;
}

/* Checks everything; returns the size of table and bytes, or -1. */
static Py_ssize_t measure(PyObject **pairs, Py_ssize_t count, enum field_text text)
{
    Py_ssize_t size = 4 * count;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name, *value;
        struct span n, v;
        if (pair_of(pairs[i], text, &name, &value) < 0)
            return -1;
        if (!view_of(name, text, &n))
            return explain(name, text, "name");
        if (!view_of(value, text, &v))
            return explain(value, text, "value");
        if (check_name(name, n) < 0 || check_value(name, value, v) < 0 || check_length(name, value, n, v) < 0)
            return -1;
        size += n.length + v.length;
    }
    return size;
}

static void write_fields(uint8_t *data, PyObject **pairs, Py_ssize_t count, enum field_text text)
{
    uint8_t *table = data, *bytes = data + 4 * count;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name, *value;
        struct span s;
        pair_of(pairs[i], text, &name, &value);
        view_of(name, text, &s);
        store16(table, (uint16_t)s.length);
        memcpy(bytes, s.start, s.length);
        bytes += s.length;
        view_of(value, text, &s);
        store16(table + 2, (uint16_t)s.length);
        memcpy(bytes, s.start, s.length);
        bytes += s.length;
        table += 4;
    }
}

static int encode(struct fields *f, PyObject **pairs, Py_ssize_t count, enum field_text text, uint32_t limit)
{
    if (count > FIELDS_MAX) {
        PyErr_Format(PyExc_ValueError, "%zd header fields; the limit is %d", count, FIELDS_MAX);
        return -1;
    }
    Py_ssize_t size = measure(pairs, count, text);
    if (size < 0)
        return -1;
    if (size > limit) {
        PyErr_Format(PyExc_ValueError, "the header fields take %zd bytes; the limit is %u (a quarter of the ring)", size,
                     limit);
        return -1;
    }
    f->data = PyMem_Malloc(size ? (size_t)size : 1);
    if (!f->data) {
        PyErr_NoMemory();
        return -1;
    }
    f->size = (uint32_t)size;
    f->count = (uint16_t)count;
    write_fields(f->data, pairs, count, text);
    return 0;
}

/* bytes(o) for the bytes-like types that are no bytes; a new reference. */
static PyObject *as_bytes(PyObject *o)
{
    if (PyBytes_Check(o) || !PyObject_CheckBuffer(o))
        return Py_NewRef(o);
    return PyBytes_FromObject(o);
}

static PyObject *normal_pair(PyObject *pair)
{
    PyObject *parts = PyUnicode_Check(pair) || PyBytes_Check(pair) ? NULL : PySequence_Tuple(pair);
    if (!parts || PyTuple_GET_SIZE(parts) != 2) {
        Py_XDECREF(parts);
        PyErr_Format(PyExc_TypeError, "each header must be a tuple (name, value), got %R", pair);
        return NULL;
    }
    PyObject *name = as_bytes(PyTuple_GET_ITEM(parts, 0));
    PyObject *value = name ? as_bytes(PyTuple_GET_ITEM(parts, 1)) : NULL;
    PyObject *normal = value ? PyTuple_Pack(2, name, value) : NULL;
    Py_XDECREF(name);
    Py_XDECREF(value);
    Py_DECREF(parts);
    return normal;
}

/* The headers as a list of tuples of bytes, from any iterable of pairs of bytes-likes. */
static PyObject *normalize(PyObject *headers)
{
    PyObject *list = PySequence_List(headers);
    if (!list) {
        if (PyErr_ExceptionMatches(PyExc_TypeError))
            PyErr_Format(PyExc_TypeError, "headers must be an iterable of (name, value) pairs, not %.100s",
                         Py_TYPE(headers)->tp_name);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        PyObject *pair = normal_pair(PyList_GET_ITEM(list, i));
        if (!pair) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SetItem(list, i, pair);
    }
    return list;
}

static bool is_usual_pair(PyObject *pair)
{
    PyObject **items = PyTuple_Check(pair)  ? ((PyTupleObject *)pair)->ob_item
                       : PyList_Check(pair) ? ((PyListObject *)pair)->ob_item
                                            : NULL;
    return items && Py_SIZE(pair) == 2 && PyBytes_Check(items[0]) && PyBytes_Check(items[1]);
}

/* True if the headers need no normalize: a list or tuple of pairs of bytes. */
static bool is_usual(PyObject *headers)
{
    if (!PyList_Check(headers) && !PyTuple_Check(headers))
        return false;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(headers); i++)
        if (!is_usual_pair(PySequence_Fast_GET_ITEM(headers, i)))
            return false;
    return true;
}

int fields_encode(struct fields *f, PyObject *headers, enum field_text text, uint32_t limit)
{
    PyObject *list = text == FIELD_LATIN1 || is_usual(headers) ? Py_NewRef(headers) : normalize(headers);
    if (!list)
        return -1;
    int result = encode(f, PySequence_Fast_ITEMS(list), PySequence_Fast_GET_SIZE(list), text, limit);
    Py_DECREF(list);
    return result;
}
