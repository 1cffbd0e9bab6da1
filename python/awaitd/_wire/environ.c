/* The environ of a WSGI request (PEP 3333), built straight from its OPEN frame. */
#include "call.h"

enum { CACHED_TEXT_MAX = 128 };

static int set(PyObject *dict, PyObject *key, PyObject *value)
{
    int result = value ? PyDict_SetItem(dict, key, value) : -1;
    Py_XDECREF(value);
    return result;
}

static PyObject *latin1(struct span s)
{
    return PyUnicode_DecodeLatin1((const char *)s.start, s.length, NULL);
}

/* The root path as the bytes of a path, one character for each. */
static PyObject *script_name(ThreadLoop *l)
{
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(l->root_path, &length);
    return text ? PyUnicode_DecodeLatin1(text, length, NULL) : NULL;
}

/* Makes room in the template, of which every environ is a copy with the same room: else the first field of a request would make it
 * grow. A dict grows when it has 21 entries and gets another, and copies are only fast while few of them were deleted. */
static int make_room(PyObject *environ)
{
    enum { MORE_THAN_FIT = 22 };
    Py_ssize_t count = PyDict_GET_SIZE(environ);
    int result = 0;
    for (Py_ssize_t i = count; result == 0 && i < MORE_THAN_FIT; i++) {
        PyObject *key = PyLong_FromSsize_t(i);
        result = key ? PyDict_SetItem(environ, key, Py_None) : -1;
        Py_XDECREF(key);
    }
    for (Py_ssize_t i = count; result == 0 && i < MORE_THAN_FIT; i++) {
        PyObject *key = PyLong_FromSsize_t(i);
        result = key ? PyDict_DelItem(environ, key) : -1;
        Py_XDECREF(key);
    }
    return result;
}

PyObject *environ_template(ThreadLoop *l, PyObject *fixed)
{
    struct state_strings *str = &l->state->str;
    PyObject *environ = PyDict_New();
    PyObject *keys[] = {str->request_method, str->script_name, str->path_info,   str->query,
                        str->raw_uri,        str->server_name, str->server_port, str->remote_addr,
                        str->remote_port,    str->url_scheme,  str->input,       str->early_hints};
    for (size_t i = 0; environ && i < sizeof keys / sizeof *keys; i++)
        if (PyDict_SetItem(environ, keys[i], str->empty) < 0)
            Py_CLEAR(environ);
    if (environ &&
        (set(environ, str->script_name, script_name(l)) < 0 || PyDict_SetItem(environ, str->url_scheme, str->http) < 0 ||
         set(environ, str->server_protocol, PyUnicode_InternFromString("HTTP/1.1")) < 0 || PyDict_Update(environ, fixed) < 0 ||
         make_room(environ) < 0))
        Py_CLEAR(environ);
    return environ;
}

static bool is(struct span s, const char *text)
{
    return s.length == strlen(text) && !memcmp(s.start, text, s.length);
}

/* The variable's name: HTTP_ and the field's name in capitals, or what CGI has for the two of the body. */
static PyObject *variable_key(State *s, struct span name)
{
    char text[5 + 256] = "HTTP_";
    if (is(name, "content-type"))
        return Py_NewRef(s->str.content_type);
    if (is(name, "content-length"))
        return Py_NewRef(s->str.content_length);
    for (uint32_t i = 0; i < name.length; i++)
        text[5 + i] = (char)(name.start[i] == '-' ? '_' : Py_TOUPPER(name.start[i]));
    PyObject *key = PyUnicode_DecodeLatin1(text, 5 + name.length, NULL);
    if (key && name.length <= VARIABLE_NAME_MAX)
        PyUnicode_InternInPlace(&key);
    return key;
}

/* An underscore would let one field pass as another; Proxy would pass as the CGI variable HTTP_PROXY (httpoxy). */
static bool is_dropped(struct span name)
{
    return name.length > 256 || memchr(name.start, '_', name.length) || is(name, "proxy");
}

/* A field that was there before: cookies join with "; ", others with ",", and those of the body stay as they are. */
static int join(State *s, PyObject *environ, PyObject *key, PyObject *value)
{
    if (key == s->str.content_type || key == s->str.content_length)
        return 0;
    const char *separator = PyUnicode_Compare(key, s->str.cookie) == 0 ? "; " : ",";
    PyObject *before = PyDict_GetItemWithError(environ, key);
    return before ? set(environ, key, PyUnicode_FromFormat("%U%s%U", before, separator, value)) : -1;
}

static int put(State *s, PyObject *environ, PyObject *key, PyObject *value)
{
    Py_ssize_t size = PyDict_GET_SIZE(environ);
    if (!key || !value || !PyDict_SetDefault(environ, key, value))
        return -1;
    return PyDict_GET_SIZE(environ) == size ? join(s, environ, key, value) : 0;
}

/* The cache's entry for a name on the wire; key_of makes its variable. */
static struct cached_variable *find_variable(State *s, struct span name, PyObject *(*key_of)(State *, struct span))
{
    uint32_t hash = name.length;
    if (name.length > VARIABLE_NAME_MAX)
        return NULL;
    for (uint32_t i = 0; i < name.length; i++)
        hash = hash * 31 + name.start[i];
    struct cached_variable *v = &s->variables[hash % VARIABLE_CACHE];
    if (v->key && v->length == name.length && !memcmp(v->name, name.start, name.length))
        return v;
    PyObject *key = key_of(s, name);
    if (!key)
        return NULL;
    Py_XSETREF(v->key, key);
    Py_CLEAR(v->value);
    v->length = (uint8_t)name.length;
    memcpy(v->name, name.start, name.length);
    return v;
}

static bool is_secret(struct span name)
{
    return is(name, "cookie") || is(name, "authorization") || is(name, "proxy-authorization");
}

static PyObject *variable_value(struct cached_variable *v, struct span name, struct span value)
{
    PyObject *last = v ? v->value : NULL;
    if (last && (uint32_t)PyUnicode_GET_LENGTH(last) == value.length &&
        !memcmp(PyUnicode_1BYTE_DATA(last), value.start, value.length))
        return Py_NewRef(last);
    PyObject *text = latin1(value);
    if (text && v && value.length <= CACHED_TEXT_MAX && !is_secret(name))
        Py_XSETREF(v->value, Py_NewRef(text));
    return text;
}

static int put_field(State *s, PyObject *environ, struct span name, struct span value)
{
    struct cached_variable *v = find_variable(s, name, variable_key);
    PyObject *key = v ? Py_NewRef(v->key) : PyErr_Occurred() ? NULL : variable_key(s, name);
    PyObject *text = key ? variable_value(v, name, value) : NULL;
    int result = put(s, environ, key, text);
    Py_XDECREF(key);
    Py_XDECREF(text);
    return result;
}

static int put_fields(State *s, PyObject *environ, const struct open *o)
{
    const uint8_t *at = o->fields.start;
    for (uint16_t i = 0; i < o->field_count; i++) {
        struct span name = {at, load16(o->table + 4 * i)};
        struct span value = {at + name.length, load16(o->table + 4 * i + 2)};
        at = value.start + value.length;
        if (!is_dropped(name) && put_field(s, environ, name, value) < 0)
            return -1;
    }
    return 0;
}

static PyObject *own_key(State *s, struct span name)
{
    (void)s;
    PyObject *key = latin1(name);
    if (key && name.length <= VARIABLE_NAME_MAX)
        PyUnicode_InternInPlace(&key);
    return key;
}

/* What a web server in front says besides: none of it is about what the server has put there. */
static int put_variables(State *s, PyObject *environ, const struct open *o)
{
    struct span rows = open_extra(o, EXTRA_VARIABLES), name, value;
    while (open_variable(&rows, &name, &value)) {
        /* Names of fields are in lower case, so what begins with a capital may share their cache. */
        bool capital = name.length && Py_ISUPPER(name.start[0]);
        struct cached_variable *v = capital ? find_variable(s, name, own_key) : NULL;
        PyObject *key = v ? Py_NewRef(v->key) : PyErr_Occurred() ? NULL : own_key(s, name);
        int result = key ? set(environ, key, variable_value(v, name, value)) : -1;
        Py_XDECREF(key);
        if (result < 0)
            return -1;
    }
    return 0;
}

static PyObject *port_text(struct cached_address *a)
{
    if (!a->port_text)
        a->port_text = PyUnicode_FromFormat("%d", (int)a->port);
    return a->port_text;
}

/* Sets the two variables of an address, by the cache. */
static int put_address(State *s, PyObject *environ, struct endpoint_address a, PyObject *host_key, PyObject *port_key)
{
    struct cached_address *entry = address_find(s, a);
    PyObject *port = entry ? port_text(entry) : NULL;
    return port && PyDict_SetItem(environ, host_key, entry->host) == 0 ? PyDict_SetItem(environ, port_key, port) : -1;
}

static bool is_ip(struct endpoint_address a)
{
    return a.family == FAMILY_IPV4 || a.family == FAMILY_IPV6;
}

static int put_addresses(State *s, PyObject *environ, const struct open *o)
{
    struct state_strings *str = &s->str;
    if (is_ip(o->client) && put_address(s, environ, o->client, str->remote_addr, str->remote_port) < 0)
        return -1;
    struct span text = is_ip(o->client) ? (struct span){0} : open_extra(o, EXTRA_CLIENT_TEXT);
    if (text.length && set(environ, str->remote_addr, latin1(text)) < 0)
        return -1;
    if (is_ip(o->server))
        return put_address(s, environ, o->server, str->server_name, str->server_port);
    text = open_extra(o, EXTRA_SERVER_TEXT);
    if (text.length)
        return set(environ, str->server_name, latin1(text)) < 0
                   ? -1
                   : set(environ, str->server_port, PyUnicode_FromFormat("%d", (int)o->server.port));
    /* A unix socket has neither name nor port, and PEP 3333 wants both. */
    return set(environ, str->server_name, PyUnicode_FromString("localhost")) < 0
               ? -1
               : set(environ, str->server_port, PyUnicode_FromString(o->secure ? "443" : "80"));
}

/* True if the path begins with the root path, as whole segments. */
static bool is_under(const char *path, Py_ssize_t length, struct span root)
{
    return root.length && (Py_ssize_t)root.length <= length && !memcmp(path, root.start, root.length) &&
           ((Py_ssize_t)root.length == length || path[root.length] == '/');
}

static int put_path(PyObject *environ, struct state_strings *str, const struct open *o, struct span root)
{
    if (is(o->path, "*")) /* OPTIONS *: PATH_INFO is a path, or empty */
        return PyDict_SetItem(environ, str->path_info, str->empty);
    char *decoded = PyMem_Malloc(o->path.length + 1);
    if (!decoded) {
        PyErr_NoMemory();
        return -1;
    }
    Py_ssize_t length = path_unquote(decoded, o->path);
    Py_ssize_t skip = is_under(decoded, length, root) ? (Py_ssize_t)root.length : 0;
    int result = set(environ, str->path_info, PyUnicode_DecodeLatin1(decoded + skip, length - skip, NULL));
    PyMem_Free(decoded);
    return result;
}

static int put_target(Call *c, PyObject *environ, const struct open *o)
{
    struct state_strings *str = &c->loop->state->str;
    struct span root = open_extra(o, EXTRA_ROOT_PATH);
    if (root.length && set(environ, str->script_name, latin1(root)) < 0)
        return -1;
    if (!root.length) {
        Py_ssize_t length;
        root.start = (const uint8_t *)PyUnicode_AsUTF8AndSize(c->loop->root_path, &length);
        root.length = (uint32_t)length;
    }
    if (!root.start || put_path(environ, str, o, root) < 0)
        return -1;
    if (!o->query.length)
        return set(environ, str->raw_uri, latin1(o->path));
    if (set(environ, str->query, latin1(o->query)) < 0)
        return -1;
    PyObject *path = latin1(o->path), *query = latin1(o->query);
    PyObject *uri = path && query ? PyUnicode_FromFormat("%U?%U", path, query) : NULL;
    Py_XDECREF(path);
    Py_XDECREF(query);
    return set(environ, str->raw_uri, uri);
}

/* What a web server's variables say of TLS: SSL_PROTOCOL and others. */
static int put_tls(State *s, PyObject *environ, const struct open *o)
{
    PyObject *variables = tls_object(o, s->tls_variables);
    int result = !variables ? -1 : variables == Py_None ? 0 : PyDict_Update(environ, variables);
    Py_XDECREF(variables);
    return result;
}

static int put_unusual(Call *c, PyObject *environ, const struct open *o)
{
    struct state_strings *str = &c->loop->state->str;
    static const char *const protocols[] = {"HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3"};
    int protocol = o->version == 10 ? 0 : o->version == 20 ? 2 : o->version == 30 ? 3 : 1;
    if (protocol != 1 && set(environ, str->server_protocol, PyUnicode_InternFromString(protocols[protocol])) < 0)
        return -1;
    if (!o->secure)
        return 0;
    if (PyDict_SetItem(environ, str->url_scheme, str->https) < 0 ||
        set(environ, str->https_variable, PyUnicode_FromString("on")) < 0)
        return -1;
    return put_tls(c->loop->state, environ, o);
}

PyObject *environ_build(Call *c)
{
    State *s = c->loop->state;
    const struct open *o = &c->open;
    PyObject *environ = PyDict_Copy(c->loop->environ);
    if (environ && (set(environ, s->str.request_method, method_object(s, o->method)) < 0 || put_target(c, environ, o) < 0 ||
                    put_addresses(s, environ, o) < 0 || put_fields(s, environ, o) < 0 || put_unusual(c, environ, o) < 0 ||
                    put_variables(s, environ, o) < 0 || PyDict_SetItem(environ, s->str.input, (PyObject *)c) < 0 ||
                    PyDict_SetItem(environ, s->str.early_hints, (PyObject *)c) < 0))
        Py_CLEAR(environ);
    return environ;
}
