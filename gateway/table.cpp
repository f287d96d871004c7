#include "table.hpp"

#include "fields.hpp"
#include "openapi.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace pg_org {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view end_of_row = "\r\n";

// Follows a reference.
const ordered_json &resolved(const ordered_json &schema)
{
    if (const auto reference = schema.find("$ref"); reference != schema.end()) {
        const auto path = reference->get<std::string>();
        const auto &things = openapi_parts()["things"];
        const auto found = things.find(path.substr(path.rfind('/') + 1));
        return found == things.end() ? schema : *found;
    }
    return schema;
}

// What a value may be: its alternatives, or itself.
std::vector<ordered_json> alternatives_of(const ordered_json &schema)
{
    const auto &value = resolved(schema);
    for (const auto *alternatives : {"anyOf", "oneOf"})
        if (const auto found = value.find(alternatives); found != value.end()) {
            std::vector<ordered_json> all;
            for (const auto &one : *found)
                all.push_back(resolved(one));
            return all;
        }
    return {value};
}

// The columns of objects with fixed fields, those of fields that are such objects in their place: of each alternative
// that is one, but no column twice. False if none is.
bool add_columns(std::vector<std::vector<std::string>> &columns, const ordered_json &schema,
                 const std::vector<std::string> &path = {})
{
    bool found = false;
    for (const auto &object : alternatives_of(schema)) {
        if (!object.contains("properties"))
            continue;
        found = true;
        if (const auto more = object.find("with"); more != object.end())
            add_columns(columns, openapi_parts()["things"][more->get<std::string>()], path);
        for (const auto &[name, field] : object["properties"].items()) {
            auto inner = path;
            inner.push_back(name);
            if (!add_columns(columns, field, inner) &&
                std::find(columns.begin(), columns.end(), inner) == columns.end())
                columns.push_back(std::move(inner));
        }
    }
    return found;
}

std::string field_of_row(const Value &value)
{
    if (value.kind == Value::Kind::null)
        return {};
    std::string text = value.text;
    // A spreadsheet takes such texts for formulas.
    if (value.kind == Value::Kind::string && !text.empty() &&
        std::string_view{"=+-@\t\r"}.find(text.front()) != std::string_view::npos)
        text.insert(text.begin(), '\'');
    if (text.find_first_of(",\"\r\n") == text.npos)
        return text;
    std::string quoted = "\"";
    for (const char c : text)
        quoted.append(c == '"' ? 2 : 1, c);
    return quoted + '"';
}

// The value at a path in an object whose fields were read; nested objects are read once for a row.
class ReadRow {
public:
    explicit ReadRow(std::string_view object) : fields_{read_body(object).fields} {}

    const Value &at(const std::vector<std::string> &path)
    {
        Fields *fields = &fields_;
        std::string place;
        for (std::size_t i = 0; i + 1 < path.size(); ++i) {
            const auto found = fields->find(path[i]);
            if (found == fields->end() || found->second.kind != Value::Kind::object)
                return nothing_;
            place += path[i] + '\n';
            auto [inner, is_new] = inner_.try_emplace(place);
            if (is_new)
                inner->second = read_body(found->second.text).fields;
            fields = &inner->second;
        }
        const auto found = fields->find(path.back());
        return found == fields->end() ? nothing_ : found->second;
    }

private:
    Fields fields_;
    std::map<std::string, Fields> inner_;
    const Value nothing_;
};

// The objects in a field that is an object of objects, by name.
Fields objects_in(const Fields &fields, const std::string &name)
{
    const auto found = fields.find(name);
    return found == fields.end() || found->second.kind != Value::Kind::object ? Fields{}
                                                                              : read_body(found->second.text).fields;
}

// The elements of a JSON array of objects.
std::vector<std::string_view> elements_in(std::string_view array)
{
    std::vector<std::string_view> elements;
    for_each_object(array, [&](std::string_view element) { elements.push_back(element); });
    return elements;
}

std::string row_of(const std::vector<std::string> &fields)
{
    std::string row;
    for (const std::string &field : fields)
        row += (&field == &fields.front() ? "" : ",") + field;
    return row.append(end_of_row);
}

// What the columns of daily activity before the sums are.
constexpr std::array activity_columns{"date", "breakdown", "name", "api_key"};
// Each of these has all of a day's sums.
constexpr std::array breakdowns{"entities", "models"};

} // namespace

const Table *Table::of(const Route &route)
{
    static const auto tables = [] {
        std::map<std::string_view, Table> made;
        for (const Route &known : routes)
            if (auto table = reads_query(known) ? made_for(known) : std::nullopt)
                made.emplace(known.path, std::move(*table));
        return made;
    }();
    const auto found = tables.find(route.path);
    return found == tables.end() || !reads_query(route) ? nullptr : &found->second;
}

std::optional<Table> Table::made_for(const Route &route)
{
    const auto &replies = openapi_parts()["replies"];
    const auto found = replies.find(std::string{route.function});
    if (found == replies.end())
        return std::nullopt;
    Table table;
    const auto &reply = resolved(*found);
    if (table.describe(reply))
        return table;
    if (!reply.contains("properties"))
        return std::nullopt;
    int lists = 0;
    for (const auto &[name, field] : reply["properties"].items())
        if (Table one; one.describe(field)) {
            ++lists;
            table = std::move(one);
            table.list_ = name;
        }
    return lists == 1 ? std::optional{std::move(table)} : std::nullopt;
}

// False if the schema is not that of a list of objects with fixed fields.
bool Table::describe(const ordered_json &list)
{
    if (list.value("type", ordered_json{}) != "array" || !list.contains("items"))
        return false;
    const auto &element = resolved(list["items"]);
    is_activity_ = element.contains("properties") && element["properties"].contains("breakdown");
    if (!is_activity_)
        return add_columns(columns_, element);
    for (const auto *part : {"metadata", "metrics"})
        add_columns(columns_, openapi_parts()["things"]["KeyActivity"]["properties"][part], {part});
    return true;
}

std::string Table::header() const
{
    std::vector<std::string> names;
    if (is_activity_)
        names.assign(activity_columns.begin(), activity_columns.end());
    for (const Path &path : columns_) {
        std::string name = is_activity_ ? path.back() : path.front();
        for (std::size_t i = 1; i < path.size() && !is_activity_; ++i)
            name += '.' + path[i];
        names.push_back(std::move(name));
    }
    return row_of(names);
}

std::string Table::list_in(std::string_view reply) const
{
    return list_.empty() ? std::string{reply} : read_body(reply).fields[list_].text;
}

std::size_t Table::size(std::string_view reply) const { return elements_in(list_in(reply)).size(); }

std::string Table::rows(std::string_view reply) const
{
    std::string rows;
    const std::string list = list_in(reply);
    for (const auto element : elements_in(list))
        is_activity_ ? add_day(rows, element) : add_row(rows, element);
    return rows;
}

void Table::add_row(std::string &rows, std::string_view element) const
{
    ReadRow row{element};
    std::vector<std::string> fields;
    fields.reserve(columns_.size());
    for (const Path &path : columns_)
        fields.push_back(field_of_row(row.at(path)));
    rows += row_of(fields);
}

void Table::add_day(std::string &rows, std::string_view day) const
{
    const Fields sums = read_body(day).fields;
    const Fields all = objects_in(sums, "breakdown");
    for (const auto *breakdown : breakdowns)
        for (const auto &[name, group] : objects_in(all, breakdown))
            for (const auto &[key, sums_of_key] : objects_in(read_body(group.text).fields, "api_key_breakdown")) {
                std::vector<std::string> fields{field_of_row(sums.at("date")), breakdown,
                                                field_of_row(Value{Value::Kind::string, name, {}}),
                                                field_of_row(Value{Value::Kind::string, key, {}})};
                ReadRow row{sums_of_key.text};
                for (const Path &path : columns_)
                    fields.push_back(field_of_row(row.at(path)));
                rows += row_of(fields);
            }
}

} // namespace pg_org
