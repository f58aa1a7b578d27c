import lit from "eslint-plugin-lit";
import tseslint from "typescript-eslint";

// What neither the compiler nor prettier sees: promises that nobody waits for, and templates that Lit would misread.
export default tseslint.config(
  { ignores: ["dist/", "node_modules/", "src/api-types.ts", "*.js"] },
  tseslint.configs.recommendedTypeChecked,
  lit.configs["flat/recommended"],
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "lit/no-legacy-template-syntax": "error",
      "lit/no-useless-template-literals": "error",
      "lit/prefer-nothing": "error",
      // Lit calls its event handlers without looking at what they return.
      "@typescript-eslint/no-misused-promises": ["error", { checksVoidReturn: false }],
      "@typescript-eslint/unbound-method": "off",
    },
  },
);
