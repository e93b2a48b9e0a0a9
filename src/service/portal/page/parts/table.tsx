// A table that becomes a list of cards on a narrow screen. Its roles are spelled out, because a browser forgets them
// as soon as the rows are laid out as something else.

import type { ComponentChildren, JSX } from "preact";

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** What is short stays on one line. */
  readonly kind?: "number" | "short" | "row-actions";
}

interface TableProps<Row> {
  readonly caption: string;
  /** The first is what a row is called by. */
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  /** Rows that have just changed. */
  readonly fresh?: ReadonlySet<string>;
}

export function Table<Row>({ caption, columns, rows, keyOf, fresh }: TableProps<Row>): JSX.Element {
  const [first, ...others] = columns;
  return (
    // biome-ignore lint/a11y/noRedundantRoles: not redundant once the layout changes
    <table role="table">
      <caption class="unseen">{caption}</caption>
      {/* biome-ignore lint/a11y/noRedundantRoles: see above */}
      <thead role="rowgroup">
        {/* biome-ignore lint/a11y/noRedundantRoles: see above */}
        <tr role="row">
          {columns.map(({ title, kind }) => (
            // biome-ignore lint/a11y/noRedundantRoles: see above
            <th key={title} role="columnheader" scope="col" class={kind}>
              {kind === "row-actions" ? <span class="unseen">{title}</span> : title}
            </th>
          ))}
        </tr>
      </thead>
      {/* biome-ignore lint/a11y/noRedundantRoles: see above */}
      <tbody role="rowgroup">
        {rows.map((row) => (
          // biome-ignore lint/a11y/noRedundantRoles: see above
          <tr key={keyOf(row)} role="row" class={fresh?.has(keyOf(row)) ? "fresh" : undefined}>
            {first && (
              // biome-ignore lint/a11y/noRedundantRoles: see above
              <th role="rowheader" scope="row">
                {first.cell(row)}
              </th>
            )}
            {others.map(({ title, cell, kind }) => (
              // biome-ignore lint/a11y/noRedundantRoles: see above
              <td key={title} role="cell" class={kind} data-title={title}>
                {cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
