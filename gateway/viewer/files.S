// The files of the page, as they stand.
.macro file name, path
    .global viewer_\name, viewer_\name\()_end
viewer_\name:
    .incbin "\path"
viewer_\name\()_end:
.endm

    .section .rodata
    file index, "index.html"
    file page_css, "page.css"
    file page_js, "page.js"
    file swagger_css, "node_modules/swagger-ui-dist/swagger-ui.css"
    file swagger_js, "node_modules/swagger-ui-dist/swagger-ui-bundle.js"
    file swagger_license, "node_modules/swagger-ui-dist/LICENSE"
    file swagger_js_license, "node_modules/swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt"

    .section .note.GNU-stack, "", %progbits
