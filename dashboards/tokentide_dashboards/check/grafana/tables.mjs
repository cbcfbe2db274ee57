// Writes what Grafana knows into one table of JSON, for a check that needs no Node:
//
//     npm install @grafana/schema@13.2.3 @grafana/data@13.2.3 typescript@5 react@19 react-dom@19 --ignore-scripts
//     node tables.mjs > grafana.json
//
// Keys and values of boards and of the options of panels come from the types of @grafana/schema; units and
// reducers from @grafana/data. Both are Apache-2.0.
import { createRequire } from 'node:module';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const require = createRequire(join(process.cwd(), 'here.cjs'));
const ts = require('typescript');

const KINDS = {
  timeseries: 'timeseries', stat: 'stat', table: 'table', bargauge: 'bargauge', barchart: 'barchart',
  heatmap: 'heatmap', 'state-timeline': 'statetimeline', text: 'text',
};
const raw = '@grafana/schema/dist/types/raw';
const file = join(process.cwd(), 'types.ts');
const lines = [`import { Dashboard, Panel, RowPanel } from '@grafana/schema/dist/types/raw/dashboard/${dashboardFile()}';`];
lines.push('type Board = Dashboard; type Row = RowPanel; type AnyPanel = Panel; let b: Board; let r: Row; let p: AnyPanel;');
let n = 0;
const wanted = { b: ['board'], r: ['row'], p: ['panel'] };
for (const [kind, folder] of Object.entries(KINDS)) {
  const path = typesFile(folder);
  lines.push(`import * as k${n} from '${path}'; let o${n}: k${n}.Options;`);
  wanted[`o${n}`] = ['options', kind];
  if (readFileSync(join('node_modules', `${path}.d.ts`), 'utf8').includes('interface FieldConfig')) {
    lines.push(`let f${n}: k${n}.FieldConfig;`);
    wanted[`f${n}`] = ['custom', kind];
  }
  n += 1;
}
function find(folder) {
  for (const one of readdirSync(folder, { recursive: true })) {
    if (one.endsWith('.d.ts')) return join(folder, one);
  }
}
function typesFile(folder) {
  return find(join('node_modules', raw, 'composable', folder)).replace('node_modules/', '').replace('.d.ts', '');
}
function dashboardFile() {
  return find(join('node_modules', raw, 'dashboard')).split('/raw/dashboard/')[1].replace('.d.ts', '');
}
writeFileSync(file, lines.join('\n'));
const program = ts.createProgram([file], { moduleResolution: ts.ModuleResolutionKind.NodeJs, skipLibCheck: true, strict: true });
const checker = program.getTypeChecker();

function spec(type, seen) {
  if (type.flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown)) return 'any';
  if (type.flags & ts.TypeFlags.Boolean) return 'boolean';
  if (type.isUnion()) {
    const parts = type.types.filter((one) => !(one.flags & ts.TypeFlags.Undefined));
    const values = parts.filter((one) => one.isStringLiteral() || one.isNumberLiteral()).map((one) => one.value);
    const others = parts.filter((one) => !(one.isStringLiteral() || one.isNumberLiteral()));
    const bools = others.filter((one) => one.flags & ts.TypeFlags.BooleanLiteral);
    const rest = others.filter((one) => !(one.flags & ts.TypeFlags.BooleanLiteral)).map((one) => spec(one, seen));
    const all = [...rest, ...(bools.length ? ['boolean'] : []), ...(values.length ? [{ values: [...new Set(values)].sort() }] : [])];
    return all.length === 1 ? all[0] : { any_of: all };
  }
  if (type.isStringLiteral() || type.isNumberLiteral()) return { values: [type.value] };
  if (type.flags & ts.TypeFlags.String) return 'string';
  if (type.flags & ts.TypeFlags.Number) return 'number';
  if (type.flags & ts.TypeFlags.Null) return 'null';
  if (checker.isArrayType(type)) return { items: spec(checker.getTypeArguments(type)[0], seen) };
  if (seen.includes(type)) return 'any';
  const index = type.getStringIndexType();
  if (index) return 'any';
  const keys = {};
  const required = [];
  for (const property of type.getProperties()) {
    const of = checker.getTypeOfSymbol(property);
    keys[property.name] = spec(of, [...seen, type]);
    if (!(property.flags & ts.SymbolFlags.Optional)) required.push(property.name);
  }
  return { keys, required };
}

const table = { version: require('@grafana/schema/package.json').version, options: {}, custom: {} };
for (const statement of program.getSourceFile(file).statements) {
  if (!ts.isVariableStatement(statement)) continue;
  for (const declared of statement.declarationList.declarations) {
    const [what, kind] = wanted[declared.name.text];
    const made = spec(checker.getTypeAtLocation(declared), []);
    if (kind) table[what][kind] = made;
    else table[what] = made;
  }
}
globalThis.navigator = { language: 'en-US', languages: ['en-US'] };
const data = require('@grafana/data');
const sorted = (values) => [...new Set(values)].sort();
table.units = sorted(data.getValueFormats().flatMap((one) => one.submenu.map((unit) => unit.value)));
table.reducers = sorted(data.fieldReducers.list().map((one) => one.id));

process.stdout.write(JSON.stringify(table) + '\n');
