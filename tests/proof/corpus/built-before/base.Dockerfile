FROM nginx:1.16
