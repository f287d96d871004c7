// Writing JSON.

#include "writer.hpp"

#include "fail.hpp"
#include "number.hpp"
#include "period.hpp"

namespace pg_org {

const char *iso_8601(Time time)
{
    if (TIMESTAMP_IS_NOBEGIN(time.value))
        return "-infinity";
    if (TIMESTAMP_IS_NOEND(time.value))
        return "infinity";
    pg_tm parts{};
    fsec_t microseconds = 0;
    // Without a time zone to convert to, the fields are those of UTC.
    if (timestamp2tm(time.value, nullptr, &parts, &microseconds, nullptr, nullptr) != 0)
        raise(refusal(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, nullptr, "timestamp out of range"));
    char *text = static_cast<char *>(palloc(MAXDATELEN + 1));
    char *at = text;
    const auto number = [&](int value, int digits, char then) {
        at = pg_ultostr_zeropad(at, static_cast<uint32>(value), digits);
        *at++ = then;
    };
    number(parts.tm_year, 4, '-');
    number(parts.tm_mon, 2, '-');
    number(parts.tm_mday, 2, 'T');
    number(parts.tm_hour, 2, ':');
    number(parts.tm_min, 2, ':');
    number(parts.tm_sec, 2, '.');
    number(static_cast<int>(microseconds), 6, 'Z');
    *at = '\0';
    return text;
}

void Writer::comma()
{
    const char last = buffer_->len > 0 ? buffer_->data[buffer_->len - 1] : '[';
    if (last != '{' && last != '[' && last != ':' && last != ' ')
        appendStringInfoChar(buffer_, ',');
}

Writer &Writer::open(char bracket)
{
    comma();
    appendStringInfoChar(buffer_, bracket);
    return *this;
}

Writer &Writer::close(char bracket)
{
    appendStringInfoChar(buffer_, bracket);
    return *this;
}

Writer &Writer::key(const char *name)
{
    comma();
    appendStringInfoCharMacro(buffer_, '"');
    appendStringInfoString(buffer_, name);
    appendBinaryStringInfo(buffer_, "\":", 2);
    return *this;
}

Writer &Writer::members(Text written)
{
    comma();
    appendBinaryStringInfo(buffer_, written.data(), static_cast<int>(written.size()));
    return *this;
}

Writer &Writer::name(Text name)
{
    value(name);
    appendStringInfoChar(buffer_, ':');
    return *this;
}

Writer &Writer::null()
{
    comma();
    appendStringInfoString(buffer_, "null");
    return *this;
}

Writer &Writer::value(Text text)
{
    comma();
    const bool plain =
        std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '"' || c == '\\'; });
    if (!plain) {
        escape_json(buffer_, c_string(text));
        return *this;
    }
    appendStringInfoCharMacro(buffer_, '"');
    appendBinaryStringInfo(buffer_, text.data(), static_cast<int>(text.size()));
    appendStringInfoCharMacro(buffer_, '"');
    return *this;
}

Writer &Writer::value(int64 integer)
{
    char digits[MAXINT8LEN + 1];
    comma();
    appendBinaryStringInfo(buffer_, digits, pg_lltoa(integer, digits));
    return *this;
}

Writer &Writer::value(Number number)
{
    comma();
    const char *digits = show(number);
    appendStringInfoString(buffer_, digits);
    if (strchr(digits, '.') == nullptr)
        appendStringInfoString(buffer_, ".0");
    return *this;
}

Writer &Writer::value(Time time) { return value(to_text(iso_8601(time))); }

Writer &Writer::boolean_value(bool boolean)
{
    comma();
    appendStringInfoString(buffer_, boolean ? "true" : "false");
    return *this;
}

void Writer::column(Oid type, Datum datum)
{
    switch (type) {
    case TEXTOID: value(to_text(datum)); break;
    case INT8OID: value(DatumGetInt64(datum)); break;
    case BOOLOID: value(DatumGetBool(datum)); break;
    case NUMERICOID: value(Number{datum}); break;
    case TIMESTAMPTZOID: value(Time{DatumGetTimestampTz(datum)}); break;
    case JSONBOID: {
        comma();
        Jsonb *json = DatumGetJsonbP(datum);
        JsonbToCString(buffer_, &json->root, VARSIZE(json));
        break;
    }
    case JSONOID: {
        comma();
        const Text text = to_text(datum);
        appendBinaryStringInfo(buffer_, text.data(), static_cast<int>(text.size()));
        break;
    }
    case RECORDOID: {
        const Row row = Row::of(datum);
        if (is_period(row))
            write_period(*this, row);
        else
            object(row);
        break;
    }
    case TEXTARRAYOID:
        begin_array();
        for (const Text text : to_texts(datum))
            value(text);
        end_array();
        break;
    default: not_as_made("A column of a result is of type %s, which has no JSON form", format_type_be(type));
    }
}

Writer &Writer::columns(const Row &row, int first, int last)
{
    if (last > row.columns())
        not_as_made("A result has only %d columns", row.columns());
    for (int i = first; i < last; i++) {
        const FormData_pg_attribute &attribute = *TupleDescAttr(row.description(), i);
        key(NameStr(attribute.attname));
        if (row.is_null(i))
            null();
        else
            column(attribute.atttypid, row.datum(i));
    }
    return *this;
}

Writer &Writer::object(const Row &row) { return begin_object().columns(row, 0, row.columns()).end_object(); }

} // namespace pg_org
