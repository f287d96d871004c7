// Operations on ranges whose results live in the current memory context.
#pragma once

#include "base/types.hpp"

namespace pg_org {

// One value from each element.
template <typename T, typename Range, typename Get> std::span<const T> map(const Range &range, Get get)
{
    const auto values = allocate<T>(std::size(range));
    std::ranges::transform(range, values.begin(), get);
    return values;
}

// The elements that meet the condition.
template <typename T, typename Condition>
std::span<std::remove_const_t<T>> filter(std::span<T> range, Condition condition)
{
    const auto some = allocate<std::remove_const_t<T>>(range.size());
    const auto end = std::ranges::copy_if(range, some.begin(), condition).out;
    return {some.begin(), end};
}

template <typename T> std::span<T> concatenate(std::span<const T> first, std::span<const T> second)
{
    const auto all = allocate<T>(first.size() + second.size());
    std::ranges::copy(second, std::ranges::copy(first, all.begin()).out);
    return all;
}

// Sorts the elements in place, and returns the distinct ones.
template <typename T> std::span<T> sort_unique(std::span<T> values)
{
    std::ranges::sort(values);
    const auto repeated = std::ranges::unique(values);
    return values.first(values.size() - repeated.size());
}

// Both arguments and the result are sorted.
inline Texts merge_sorted(Texts first, Texts second)
{
    const auto all = allocate<Text>(first.size() + second.size());
    std::ranges::merge(first, second, all.begin());
    return all;
}

// The texts that are not among the others; all are sorted.
inline Texts difference_sorted(Texts texts, Texts others)
{
    const auto rest = allocate<Text>(texts.size());
    return {rest.begin(), std::ranges::set_difference(texts, others, rest.begin()).out};
}

} // namespace pg_org
