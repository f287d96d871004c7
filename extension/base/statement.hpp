// Statements: SQL with typed parameters and typed columns, prepared once in a session of the server.
#pragma once

#include "types.hpp"

namespace pg_org {

// What describes records of these types, for as long as the session of the server lasts.
TupleDesc describe_record(std::span<const Oid> types);

// C++ types as SQL parameters and columns.
template <typename T> struct Sql;
template <> struct Sql<Text> {
    static constexpr Oid type = TEXTOID;
    static Datum to_datum(Text value)
    {
        return PointerGetDatum(cstring_to_text_with_len(value.data(), static_cast<int>(value.size())));
    }
    static Text from_datum(Datum datum) { return to_text(datum); }
};
template <> struct Sql<Texts> {
    static constexpr Oid type = TEXTARRAYOID;
    static Datum to_datum(Texts value) { return to_array(value); }
    static Texts from_datum(Datum datum) { return to_texts(datum); }
};
// Lists of values of fixed or of varying length.
template <typename T> struct Sql<std::span<const T>> {
    static constexpr Oid type = Sql<T>::array_type;
    static constexpr bool by_value = Sql<T>::length > 0 && Sql<T>::length <= 8 && Sql<T>::type != TIDOID;
    static Datum to_datum(std::span<const T> values)
    {
        const auto elements = allocate<Datum>(values.size());
        std::ranges::transform(values, elements.begin(), Sql<T>::to_datum);
        return PointerGetDatum(construct_array(elements.data(), static_cast<int>(values.size()), Sql<T>::type,
                                               Sql<T>::length, by_value, Sql<T>::alignment));
    }
    static std::span<const T> from_datum(Datum datum)
    {
        Datum *elements;
        bool *nulls;
        int size;
        deconstruct_array(DatumGetArrayTypeP(datum), Sql<T>::type, Sql<T>::length, by_value, Sql<T>::alignment,
                          &elements, &nulls, &size);
        const auto values = allocate<T>(static_cast<size_t>(size));
        for (int i = 0; i < size; i++) {
            if (nulls[i])
                null_found();
            values[static_cast<size_t>(i)] = Sql<T>::from_datum(elements[i]);
        }
        return values;
    }
};
template <> struct Sql<bool> {
    static constexpr Oid type = BOOLOID, array_type = BOOLARRAYOID;
    static constexpr int length = 1;
    static constexpr char alignment = TYPALIGN_CHAR;
    static Datum to_datum(bool value) { return BoolGetDatum(value); }
    static bool from_datum(Datum datum) { return DatumGetBool(datum); }
};
template <> struct Sql<int64> {
    static constexpr Oid type = INT8OID, array_type = INT8ARRAYOID;
    static constexpr int length = 8;
    static constexpr char alignment = TYPALIGN_DOUBLE;
    static Datum to_datum(int64 value) { return Int64GetDatum(value); }
    static int64 from_datum(Datum datum) { return DatumGetInt64(datum); }
};
template <> struct Sql<Number> {
    static constexpr Oid type = NUMERICOID, array_type = NUMERICARRAYOID;
    static constexpr int length = -1;
    static constexpr char alignment = TYPALIGN_INT;
    static Datum to_datum(Number value) { return value.datum; }
    static Number from_datum(Datum datum) { return {datum}; }
};
template <> struct Sql<Time> {
    static constexpr Oid type = TIMESTAMPTZOID, array_type = TIMESTAMPTZARRAYOID;
    static constexpr int length = 8;
    static constexpr char alignment = TYPALIGN_DOUBLE;
    static Datum to_datum(Time value) { return TimestampTzGetDatum(value.value); }
    static Time from_datum(Datum datum) { return {DatumGetTimestampTz(datum)}; }
};
template <> struct Sql<Tid> {
    static constexpr Oid type = TIDOID, array_type = TIDARRAYOID;
    static constexpr int length = sizeof(ItemPointerData);
    static constexpr char alignment = TYPALIGN_SHORT;
    static Datum to_datum(Tid value) { return value.datum; }
    static Tid from_datum(Datum datum) { return {datum}; }
};
template <> struct Sql<Json> {
    static constexpr Oid type = JSONBOID;
    static Datum to_datum(Json value) { return value.datum; }
    static Json from_datum(Datum datum) { return {datum}; }
};
// A list of records, for unnest() AS name (column type, ...): unlike arrays side by side, they can have arrays in them.
template <typename... T> struct Sql<std::tuple<T...>> {
    static constexpr Oid type = RECORDOID, array_type = RECORDARRAYOID;
    static constexpr int length = -1;
    static constexpr char alignment = TYPALIGN_DOUBLE;
    static Datum to_datum(const std::tuple<T...> &record)
    {
        static TupleDesc description = nullptr; // kept, since each new one is looked up by its types
        if (description == nullptr)
            description = describe_record(std::array{Sql<T>::type...});
        std::array<Datum, sizeof...(T)> values =
            std::apply([](const T &...value) { return std::array{Sql<T>::to_datum(value)...}; }, record);
        std::array<bool, sizeof...(T)> nulls{};
        return HeapTupleGetDatum(heap_form_tuple(description, values.data(), nulls.data()));
    }
};

// A row of a result, valid until the call ends.
class Row {
public:
    Row() = default;
    Row(HeapTuple tuple, TupleDesc description)
        : description_(description), values_(allocate<Datum>(description->natts)),
          nulls_(allocate<bool>(description->natts))
    {
        heap_deform_tuple(tuple, description, values_.data(), nulls_.data());
    }

    // A value of type record.
    static Row of(Datum record);

    TupleDesc description() const { return description_; }
    int columns() const { return description_ == nullptr ? 0 : description_->natts; }
    bool is_null(int column) const { return nulls_[column]; }
    Datum datum(int column) const { return values_[column]; }

    // The value of a column, counted from 0. Its type must be T's: the tables' owner may have changed it.
    template <typename T> Maybe<T> get(int column) const
    {
        require_type(column, Sql<T>::type);
        return is_null(column) ? Maybe<T>{} : Maybe<T>{Sql<T>::from_datum(datum(column))};
    }

private:
    void require_type(int column, Oid type) const
    {
        if (column >= columns() || TupleDescAttr(description_, column)->atttypid != type)
            refuse_column(column, type);
    }
    [[noreturn]] void refuse_column(int column, Oid type) const;

    TupleDesc description_ = nullptr;
    std::span<Datum> values_;
    std::span<bool> nulls_;
};

// The rows of a result.
class Rows {
public:
    Rows(SPITupleTable *table, size_t size) : table_(table), size_(size) {}

    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    // Raises an error if there is no such row: triggers of the tables' owner can suppress rows.
    Row operator[](size_t i) const
    {
        CHECK_FOR_INTERRUPTS(); // a loop over many rows can be cancelled
        if (table_ == nullptr || i >= table_->numvals)
            refuse_row();
        return {table_->vals[i], table_->tupdesc};
    }

    struct Iterator {
        const Rows *rows;
        size_t at;
        Row operator*() const { return (*rows)[at]; }
        Iterator &operator++()
        {
            at++;
            return *this;
        }
        bool operator!=(const Iterator &other) const { return at != other.at; }
    };
    Iterator begin() const { return {this, 0}; }
    Iterator end() const { return {this, size_}; }

    // The values of the first column.
    Texts texts() const;
    // All rows, sorted by a key. For few rows this is cheaper than ORDER BY, whose set-up costs more than the sort.
    template <typename Key> std::span<const Row> sorted_by(Key key) const
    {
        const auto rows = all();
        std::ranges::sort(rows, {}, key);
        return rows;
    }
    // All rows, read once.
    std::span<Row> all() const
    {
        const auto rows = allocate<Row>(size_);
        for (size_t i = 0; i < size_; i++)
            rows[i] = (*this)[i];
        return rows;
    }

private:
    [[noreturn]] static void refuse_row();

    SPITupleTable *table_;
    size_t size_;
};

// A value as a parameter: null, if it is none.
template <typename T> struct Parameter {
    static constexpr Oid type = Sql<T>::type;
    static Datum to_datum(const T &value) { return Sql<T>::to_datum(value); }
    static char null_mark(const T &) { return ' '; }
};
template <typename T> struct Parameter<Maybe<T>> {
    static constexpr Oid type = Sql<T>::type;
    static Datum to_datum(const Maybe<T> &value) { return value ? Sql<T>::to_datum(*value) : Datum{}; }
    static char null_mark(const Maybe<T> &value) { return value ? ' ' : 'n'; }
};

// When a statement is planned: once for all parameters, or again for those of each call. The latter pays off where a
// null parameter means that a condition does not apply.
enum class Planned { once, each_time };

// The SQL of a rule, prepared once in a session of the server. Always a static constinit variable. The parameters get
// their types from the first run; columns are read with Row::get.
class Statement {
public:
    consteval explicit Statement(const char *sql, Planned planned = Planned::once) : sql_(sql), planned_(planned) {}

    // Runs it; parameters are Text, Texts, bool, int64, Number, Time, Json, a list of these or of tuples, or
    // a Maybe of one.
    template <typename... Values> Rows run(bool read_only, const Values &...values)
    {
        const std::array<Oid, sizeof...(Values)> types{Parameter<Values>::type...};
        std::array<Datum, sizeof...(Values) + 1> datums{Parameter<Values>::to_datum(values)...};
        std::array<char, sizeof...(Values) + 1> nulls{Parameter<Values>::null_mark(values)...};
        return execute(types, datums.data(), nulls.data(), read_only);
    }

private:
    SPIPlanPtr plan(std::span<const Oid> types);
    Rows execute(std::span<const Oid> types, Datum *values, const char *nulls, bool read_only);

    const char *sql_;
    Planned planned_;
    SPIPlanPtr plan_ = nullptr;
};

// Runs SQL that names a table which is known only now: a format with %s for it. Otherwise the same; the plan is not
// kept.
Rows run_once(const char *format, const char *table, std::span<const Oid> types, Datum *values, const char *nulls,
              bool read_only);

static_assert(std::is_trivially_destructible_v<Rows>);

} // namespace pg_org
