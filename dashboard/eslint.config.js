// Every API and every piece of CSS that the built page has, its libraries' included, against the browsers that it must work in. The
// sources are oxlint's; methods of the language end at ES2023, which tsconfig.json says.
import css from '@eslint/css'
import compat from 'eslint-plugin-compat'

export default [
  {
    ...compat.configs['flat/recommended'],
    files: ['dist/**/*.js'],
    linterOptions: { noInlineConfig: true },
    // asked for before it is used: by React whether the line is slow, by three in virtual reality
    settings: { polyfills: ['navigator.connection', 'XRWebGLBinding'] },
  },
  {
    files: ['dist/**/*.css'],
    language: 'css/css',
    plugins: { css },
    // in Chrome, Firefox and Safari by the end of 2024; scrollbars without a colour are usual ones, and the build adds Safari's prefix
    rules: { 'css/use-baseline': ['error', { available: 2024, allowProperties: ['scrollbar-color', 'user-select'] }] },
  },
]
