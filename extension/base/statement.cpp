// Preparing and running statements, and reading what they return.

#include "statement.hpp"

#include "fail.hpp"

namespace pg_org {

Row Row::of(Datum record)
{
    HeapTupleHeader header = DatumGetHeapTupleHeader(record);
    HeapTupleData tuple{};
    tuple.t_len = HeapTupleHeaderGetDatumLength(header);
    tuple.t_data = header;
    return {&tuple, lookup_rowtype_tupdesc_copy(HeapTupleHeaderGetTypeId(header), HeapTupleHeaderGetTypMod(header))};
}

void Row::refuse_column(int column, Oid type) const
{
    if (column >= columns())
        not_as_made("A result has only %d columns", columns());
    const FormData_pg_attribute &attribute = *TupleDescAttr(description_, column);
    not_as_made("Column %s of a result is of type %s, not %s", NameStr(attribute.attname),
                format_type_be(attribute.atttypid), format_type_be(type));
}

void Rows::refuse_row() { not_as_made("A row is gone that a call has just made, locked or found"); }

Texts to_texts(Datum array)
{
    Datum *elements = nullptr;
    bool *nulls = nullptr;
    int count = 0;
    deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
    const auto texts = allocate<Text>(count);
    for (int i = 0; i < count; i++)
        texts[i] = nulls[i] ? Text{} : to_text(elements[i]);
    return texts;
}

Datum to_array(Texts texts)
{
    const auto elements = allocate<Datum>(texts.size());
    for (size_t i = 0; i < texts.size(); i++)
        elements[i] = Sql<Text>::to_datum(texts[i]);
    return PointerGetDatum(
        construct_array(elements.data(), static_cast<int>(texts.size()), TEXTOID, -1, false, TYPALIGN_INT));
}

TupleDesc describe_record(std::span<const Oid> types)
{
    const MemoryContext before = MemoryContextSwitchTo(TopMemoryContext);
    TupleDesc description = CreateTemplateTupleDesc(static_cast<int>(types.size()));
    for (size_t i = 0; i < types.size(); i++)
        TupleDescInitEntry(description, static_cast<AttrNumber>(i + 1), nullptr, types[i], -1, 0);
    description = BlessTupleDesc(description);
    MemoryContextSwitchTo(before);
    return description;
}

SPIPlanPtr Statement::plan(std::span<const Oid> types)
{
    if (plan_ == nullptr) {
        const int options = planned_ == Planned::once ? CURSOR_OPT_GENERIC_PLAN : CURSOR_OPT_CUSTOM_PLAN;
        SPIPlanPtr plan =
            SPI_prepare_cursor(sql_, static_cast<int>(types.size()), const_cast<Oid *>(types.data()), options);
        if (plan == nullptr || SPI_keepplan(plan) != 0)
            elog(ERROR, "could not prepare a statement: %s", SPI_result_code_string(SPI_result));
        plan_ = plan;
    }
    return plan_;
}

Texts Rows::texts() const
{
    const auto values = allocate<Text>(size_);
    for (size_t i = 0; i < size_; i++)
        values[i] = *(*this)[i].get<Text>(0);
    return values;
}

Rows Statement::execute(std::span<const Oid> types, Datum *values, const char *nulls, bool read_only)
{
    const int result = SPI_execute_plan(plan(types), values, nulls, read_only, 0);
    if (result < 0)
        elog(ERROR, "could not run a statement: %s", SPI_result_code_string(result));
    return {SPI_tuptable, SPI_processed};
}

Rows run_once(const char *format, const char *table, std::span<const Oid> types, Datum *values, const char *nulls,
              bool read_only)
{
    StringInfoData sql;
    initStringInfo(&sql);
    for (const char *at = format; *at != '\0'; at++)
        if (at[0] == '%' && at[1] == 's') {
            appendStringInfoString(&sql, table);
            at++;
        } else {
            appendStringInfoChar(&sql, *at);
        }
    const int result = SPI_execute_with_args(sql.data, static_cast<int>(types.size()), const_cast<Oid *>(types.data()),
                                             values, nulls, read_only, 0);
    if (result < 0)
        elog(ERROR, "could not run a statement: %s", SPI_result_code_string(result));
    return {SPI_tuptable, SPI_processed};
}

} // namespace pg_org
