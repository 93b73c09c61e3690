import { defineConfig } from "vite";

// Names without hashes: the binary embeds the files, and cargo follows them by name. Only new names would go unnoticed.
export default defineConfig({
  base: "./",
  build: {
    target: "es2022",
    // dist/.gitignore keeps the folder in the repository.
    emptyOutDir: false,
    modulePreload: false,
    chunkSizeWarningLimit: 1200,
    rollupOptions: {
      output: { entryFileNames: "[name].js", chunkFileNames: "[name].js", assetFileNames: "[name][extname]" },
    },
  },
  worker: { format: "es", rollupOptions: { output: { entryFileNames: "[name].js" } } },
  // Without `changeOrigin`, which would replace the Host alone: the viewer's node compares it with the Origin.
  server: { proxy: { "/ws": { target: "http://127.0.0.1:8080", ws: true } } },
});
